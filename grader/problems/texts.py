"""The words of every problem code, family by family. :mod:`grader.problems.catalogue` turns them into ``CATALOGUE``.

One row: code, sentence and hint in English, sentence and hint in Korean. A sentence says what is so, a hint says what to do
next. What differs from case to case (names, numbers) travels in ``Problem.where`` and ``Problem.detail``.
"""

# ruff: noqa: E501
from __future__ import annotations

Row = tuple[str, str, str, str, str]

UPLOAD: tuple[Row, ...] = (
    (
        "UPLOAD_EMPTY",
        "The uploaded file is empty.",
        "Check the file on your side and upload it again.",
        "업로드한 파일이 비어 있습니다.",
        "파일을 확인한 뒤 다시 업로드해 주세요.",
    ),
    (
        "UPLOAD_TOO_LARGE",
        "The file is larger than the contest allows.",
        "Compress the model further, or leave out files that are not needed, then upload again.",
        "파일이 대회 허용 크기를 넘습니다.",
        "모델을 더 경량화하거나 필요 없는 파일을 빼고 다시 업로드해 주세요.",
    ),
    (
        "UPLOAD_LENGTH_MISMATCH",
        "More or fewer bytes arrived than were announced.",
        "Start the upload again; the file may have changed while it was sent.",
        "도착한 바이트 수가 알려 준 크기와 다릅니다.",
        "전송 중에 파일이 바뀌었을 수 있으니 업로드를 다시 시작해 주세요.",
    ),
    (
        "UPLOAD_CHECKSUM",
        "The file that arrived is not the file that was sent: the checksum differs.",
        "Upload it again; if it happens twice, try another network.",
        "도착한 파일의 체크섬이 보낸 파일과 다릅니다.",
        "다시 업로드해 주세요. 반복되면 다른 네트워크를 이용해 주세요.",
    ),
    (
        "UPLOAD_OFFSET",
        "The upload was continued at the wrong place.",
        "Ask for the current position and continue there; the site's page and the CLI do so by themselves.",
        "업로드를 잘못된 위치에서 이어서 보냈습니다.",
        "현재 위치를 조회한 뒤 이어서 보내 주세요. 웹 페이지와 CLI는 자동으로 처리합니다.",
    ),
    (
        "UPLOAD_EXPIRED",
        "The upload was left unfinished for too long and has been removed.",
        "Start a new upload.",
        "업로드가 오랫동안 끝나지 않아 삭제되었습니다.",
        "새로 업로드해 주세요.",
    ),
    (
        "UPLOAD_LOST",
        "The site no longer has the first part of this upload.",
        "Start the upload again; this was no mistake of yours and costs nothing.",
        "서버에 이 업로드의 앞부분이 더 이상 없습니다.",
        "업로드를 다시 시작해 주세요. 제출자의 잘못이 아니며 제출 횟수는 차감되지 않습니다.",
    ),
    (
        "UPLOAD_TOO_MANY",
        "You have too many unfinished uploads.",
        "Finish or discard one of them on the submit page, then start this one again.",
        "끝나지 않은 업로드가 너무 많습니다.",
        "제출 페이지에서 하나를 마치거나 삭제한 뒤 다시 시작해 주세요.",
    ),
    (
        "UPLOAD_BUSY",
        "Another tab or program is sending this upload at this moment.",
        "Let one of them finish; this one may try again in a few seconds.",
        "다른 탭이나 프로그램이 지금 이 업로드를 전송하고 있습니다.",
        "그쪽이 끝날 때까지 기다리거나 몇 초 뒤에 다시 시도해 주세요.",
    ),
    (
        "UPLOAD_QUOTA",
        "The team has used up its submissions for today.",
        "Wait for the reset shown beside the quota.",
        "오늘 제출 횟수를 모두 사용했습니다.",
        "제출 횟수 옆에 표시된 초기화 시각까지 기다려 주세요.",
    ),
    (
        "UPLOAD_SAME",
        "Your team has entered exactly this checkpoint before.",
        "Look at that entry, or have it measured again (CLI: --again): that counts as an entry like any other.",
        "팀에서 이미 제출한 것과 똑같은 체크포인트입니다.",
        "앞선 제출의 결과를 확인하거나 다시 측정해 주세요(CLI: --again). 다시 측정하면 제출 횟수가 차감됩니다.",
    ),
    (
        "UPLOAD_CHECKS",
        "You have asked for as many checks as one person may at a time, or in an hour.",
        "Run `baseline check` at home, it says the same; or wait until one is done, at most an hour.",
        "한 번에 또는 한 시간에 요청할 수 있는 검사 횟수를 모두 사용했습니다.",
        "같은 검사를 하는 `baseline check`를 직접 실행하거나, 진행 중인 검사가 끝난 뒤 또는 한 시간 뒤에 다시 시도해 주세요.",
    ),
    (
        "UPLOAD_CLOSED",
        "The contest does not accept submissions now.",
        "See the dates of the phases on the contest page.",
        "지금은 제출을 받지 않는 기간입니다.",
        "대회 페이지에서 일정을 확인해 주세요.",
    ),
    (
        "UPLOAD_DISQUALIFIED",
        "Your team is disqualified from this contest, so it cannot submit.",
        "The team page gives the organisers' reason; write to them if it is wrong. Once they lift it, submit again.",
        "실격 처리된 팀이라 제출할 수 없습니다.",
        "팀 페이지에서 사유를 확인해 주세요. 이의가 있으면 운영진에게 문의하시고, 실격이 해제되면 다시 제출해 주세요.",
    ),
    (
        "UPLOAD_NO_TEAM",
        "You are not in a team of this contest.",
        "Create or join a team on the contest page, then submit again.",
        "이 대회에 참가한 팀이 없습니다.",
        "대회 페이지에서 팀을 만들거나 팀에 참여한 뒤 다시 제출해 주세요.",
    ),
    (
        "UPLOAD_DISK_FULL",
        "The site has no room for this archive right now. Nothing was stored.",
        "Try again later, or tell the organisers. It costs no attempt.",
        "지금은 서버에 이 파일을 저장할 공간이 없습니다. 아무것도 저장되지 않았습니다.",
        "잠시 후 다시 시도해 주세요. 제출 횟수는 차감되지 않습니다.",
    ),
)

HUB: tuple[Row, ...] = (
    (
        "HUB_REPO_ID",
        "This is not the name of a repository on the Hugging Face Hub.",
        "Write owner/name, with @ and a branch, tag or commit if it is not main: team/model@v2.",
        "Hugging Face Hub 저장소 이름 형식이 아닙니다.",
        "소유자/이름 형식으로 입력하고, main이 아니면 team/model@v2처럼 @ 뒤에 브랜치, 태그, 커밋을 붙여 주세요.",
    ),
    (
        "HUB_NOT_FOUND",
        "The Hub has no public model repository of this name.",
        "Check the spelling. A private one cannot be fetched: make it public, or upload the archive here.",
        "Hub에 이 이름의 공개 모델 저장소가 없습니다.",
        "철자를 확인해 주세요. 비공개 저장소는 가져올 수 없으니 공개로 바꾸거나 파일을 직접 업로드해 주세요.",
    ),
    (
        "HUB_GATED",
        "The repository asks for its terms to be accepted before anything can be fetched.",
        "Switch off gated access in its settings, or upload the archive here.",
        "약관에 동의해야 받을 수 있는 저장소입니다.",
        "저장소 설정에서 접근 제한(gated)을 끄거나 파일을 직접 업로드해 주세요.",
    ),
    (
        "HUB_REVISION",
        "The repository has no such revision.",
        "Give a branch, tag or commit that its page lists; without one it is main.",
        "저장소에 이런 리비전이 없습니다.",
        "저장소 페이지에 있는 브랜치, 태그, 커밋을 입력해 주세요. 비워 두면 main입니다.",
    ),
    (
        "HUB_GONE",
        "The submitted commit can no longer be fetched: the repository was deleted, renamed or made private.",
        "Make it public again and keep its history until the contest is over, then submit again.",
        "제출한 커밋을 더 이상 받을 수 없습니다. 저장소가 삭제, 이름 변경 또는 비공개 처리되었습니다.",
        "저장소를 다시 공개하고 대회가 끝날 때까지 이력을 유지한 뒤 다시 제출해 주세요.",
    ),
    (
        "HUB_AWAY",
        "The Hugging Face Hub does not answer just now. Nothing was stored and nothing was counted.",
        "Try again in a few minutes, or upload the archive here.",
        "지금 Hugging Face Hub가 응답하지 않습니다. 저장되거나 차감된 것은 없습니다.",
        "몇 분 뒤 다시 시도하거나 파일을 직접 업로드해 주세요.",
    ),
    (
        "HUB_OFF",
        "This site takes no entries from the Hugging Face Hub.",
        "Upload the archive instead.",
        "이 사이트에서는 Hugging Face Hub 제출을 받지 않습니다.",
        "대신 파일을 업로드해 주세요.",
    ),
)

TEAM: tuple[Row, ...] = (
    (
        "TEAM_ALREADY",
        "You are in a team of this contest already.",
        "A person is in one team per contest: leave that one first, or ask its captain about a merger.",
        "이미 이 대회의 팀에 속해 있습니다.",
        "대회마다 한 팀에만 속할 수 있습니다. 먼저 지금 팀에서 나오거나 팀장에게 합병을 의논해 주세요.",
    ),
    (
        "TEAM_FULL",
        "The team is full.",
        "Ask its captain; the size of teams is in the rules.",
        "팀 인원이 가득 찼습니다.",
        "팀장에게 문의해 주세요. 팀 인원 제한은 규정에 있습니다.",
    ),
    (
        "TEAM_NAME_TAKEN",
        "This team name is taken.",
        "Choose another one.",
        "이미 사용 중인 팀 이름입니다.",
        "다른 이름을 골라 주세요.",
    ),
    (
        "TEAM_GONE",
        "This team no longer exists.",
        "It was merged into another one or dissolved; see the board.",
        "더 이상 존재하지 않는 팀입니다.",
        "다른 팀과 합병되었거나 해산되었습니다. 리더보드를 확인해 주세요.",
    ),
    (
        "CONTEST_FINAL",
        "The contest is finalised: its entries, scores and rulings do not change any more.",
        "Nothing was changed. What the result stands on is in its archive of evidence.",
        "대회 결과가 확정되어 제출, 점수, 판정을 더 이상 변경할 수 없습니다.",
        "아무것도 변경되지 않았습니다. 결과의 근거는 증빙 보관 파일에 있습니다.",
    ),
    (
        "RULING_REASON",
        "A ruling needs a reason; the team is told.",
        "Say in a sentence why.",
        "판정에는 사유가 필요하며, 사유는 팀에 전달됩니다.",
        "이유를 한 문장으로 적어 주세요.",
    ),
    (
        "RULING_ALREADY",
        "The same ruling is in force already.",
        "Nothing was changed. Lift that one first if its reason is to be another.",
        "같은 판정이 이미 내려져 있습니다.",
        "아무것도 변경되지 않았습니다. 사유를 바꾸려면 먼저 기존 판정을 해제해 주세요.",
    ),
    (
        "TEAM_CLOSED",
        "The contest is over, so teams stay as they are.",
        "Ask the organisers if something is wrong.",
        "대회가 끝나 팀을 바꿀 수 없습니다.",
        "잘못된 점이 있으면 주최 측에 문의해 주세요.",
    ),
    (
        "TEAM_NOT_MEMBER",
        "Only members of the team may do this, and only to other members.",
        "See who is in the team on its page.",
        "팀원만, 그리고 다른 팀원에 대해서만 할 수 있습니다.",
        "팀 페이지에서 팀원을 확인해 주세요.",
    ),
    (
        "TEAM_CAPTAIN_ONLY",
        "Only the captain may do this.",
        "Ask your captain, or have the lead handed over to you.",
        "팀장만 할 수 있습니다.",
        "팀장에게 부탁하거나 팀장 역할을 넘겨받아 주세요.",
    ),
    (
        "TEAM_CAPTAIN_LEAVES",
        "The captain cannot leave the others without one.",
        "Make another member captain first.",
        "팀장은 다른 팀원을 두고 나갈 수 없습니다.",
        "먼저 다른 팀원을 팀장으로 정해 주세요.",
    ),
    (
        "TEAM_LAST_MEMBER",
        "The last member cannot leave a team that has entries.",
        "Merge it into another team instead, or ask the organisers.",
        "제출이 있는 팀의 마지막 팀원은 나갈 수 없습니다.",
        "다른 팀과 합병하거나 주최 측에 문의해 주세요.",
    ),
    (
        "TEAM_INVITATION",
        "This invitation does not work, or no longer.",
        "Ask the captain of the team for a new link.",
        "유효하지 않거나 기한이 지난 초대입니다.",
        "팀장에게 새 링크를 요청해 주세요.",
    ),
    (
        "TEAM_INVITATIONS",
        "The team has too many open invitations.",
        "One link works for several people; revoke those that are not needed.",
        "열려 있는 초대가 너무 많습니다.",
        "링크 하나로 여러 명을 초대할 수 있으니 필요 없는 초대를 취소해 주세요.",
    ),
    (
        "TEAM_UNKNOWN",
        "There is no other team of this name in the contest.",
        "Write the name as the board shows it.",
        "이 대회에 그런 이름의 다른 팀이 없습니다.",
        "리더보드에 표시된 이름 그대로 적어 주세요.",
    ),
    (
        "TEAM_RULED",
        "The organisers have ruled about one of the teams, so they cannot be merged.",
        "Ask the organisers.",
        "주최 측의 결정이 내려진 팀이 있어 합병할 수 없습니다.",
        "주최 측에 문의해 주세요.",
    ),
    (
        "TEAM_FINAL_CLOSED",
        "Entries for the final cannot be chosen now.",
        "The rules of the contest say until when they can; those chosen by then stay.",
        "지금은 본선에 올릴 제출을 선택할 수 없습니다.",
        "선택 기한은 대회 규정에 있으며, 그때까지 선택한 제출이 유지됩니다.",
    ),
    (
        "TEAM_FINAL_MANY",
        "More entries are chosen for the final than a team may send.",
        "Nothing was changed. Choose fewer.",
        "팀이 본선에 올릴 수 있는 수보다 많은 제출을 선택했습니다.",
        "아무것도 변경되지 않았습니다. 더 적게 선택해 주세요.",
    ),
    (
        "TEAM_FINAL_ENTRY",
        "Only scored submissions of the team that the organisers have not disqualified can go to the final.",
        "Nothing was changed. The team's page lists those that can be chosen.",
        "채점이 끝났고 실격되지 않은 팀의 제출만 본선에 올릴 수 있습니다.",
        "아무것도 변경되지 않았습니다. 선택할 수 있는 제출은 팀 페이지에 있습니다.",
    ),
    (
        "TEAM_MERGE_LATE",
        "The time for merging teams is over.",
        "The date is in the rules of the contest.",
        "팀 합병 기간이 끝났습니다.",
        "기한은 대회 규정에서 확인해 주세요.",
    ),
    (
        "TEAM_MERGE_SIZE",
        "Together the teams have more members than one team may have.",
        "The size of teams is in the rules; somebody would have to leave first.",
        "합치면 팀 인원 제한을 넘습니다.",
        "팀 인원 제한은 규정에 있습니다. 합병하려면 먼저 인원을 줄여 주세요.",
    ),
    (
        "TEAM_MERGE_QUOTA",
        "Together the teams have submitted more than one team could have by now.",
        "Wait some days without submitting, then try again: what one team may have grows every day.",
        "두 팀의 제출 수를 합치면 지금까지 한 팀에 허용된 수를 넘습니다.",
        "허용되는 수는 날마다 늘어나니 며칠 동안 제출하지 않고 기다린 뒤 다시 시도해 주세요.",
    ),
    (
        "TEAM_MERGE_OFFERED",
        "This team has your offer already.",
        "Wait for its captain, or withdraw the offer.",
        "이미 이 팀에 합병을 제안했습니다.",
        "상대 팀장의 답변을 기다리거나 제안을 철회해 주세요.",
    ),
    (
        "TEAM_MERGE_OVER",
        "This offer is no longer open.",
        "It was answered or withdrawn; a new one can be made.",
        "더 이상 유효하지 않은 제안입니다.",
        "이미 답변되었거나 철회되었습니다. 새로 제안할 수 있습니다.",
    ),
)

WEBHOOK: tuple[Row, ...] = (
    (
        "WEBHOOK_HTTPS",
        "A webhook's address must begin with https://.",
        "Use an address with a certificate; messages hold results of your team.",
        "웹훅 주소는 https://로 시작해야 합니다.",
        "알림에는 팀의 결과가 담기므로 인증서가 있는 주소를 사용해 주세요.",
    ),
    (
        "WEBHOOK_ADDRESS",
        "This address cannot be a webhook's.",
        "Write the host, without user name, password or a part after #.",
        "웹훅으로 쓸 수 없는 주소입니다.",
        "사용자 이름, 비밀번호, # 뒷부분 없이 호스트 이름을 포함해 적어 주세요.",
    ),
)

ARCHIVE: tuple[Row, ...] = (
    (
        "ARCHIVE_FORMAT",
        "The file is not a zip or tar archive.",
        "Pack the model folder as .zip, .tar, .tar.gz or .tar.zst; `baseline package` does it.",
        "zip 또는 tar 압축 파일이 아닙니다.",
        "모델 폴더를 .zip, .tar, .tar.gz, .tar.zst 중 하나로 묶어 주세요. `baseline package` 명령을 쓰면 됩니다.",
    ),
    (
        "ARCHIVE_CORRUPT",
        "The archive is damaged or contradicts itself.",
        "Test it (`unzip -t`, `tar -tf`), pack it again and upload it again.",
        "압축 파일이 손상되었거나 내용이 서로 맞지 않습니다.",
        "`unzip -t` 또는 `tar -tf`로 확인하고, 다시 압축해 업로드해 주세요.",
    ),
    (
        "ARCHIVE_PATH",
        "A file name in the archive is not allowed.",
        "Use plain names without `..`, leading `/`, backslashes, drive letters or invisible characters.",
        "압축 파일 안에 허용되지 않는 파일 이름이 있습니다.",
        "`..`, 맨 앞의 `/`, 역슬래시, 드라이브 문자, 보이지 않는 문자가 없는 이름을 사용해 주세요.",
    ),
    (
        "ARCHIVE_LINK",
        "The archive contains a symbolic or hard link.",
        "Pack the files themselves (`tar -h`, `zip` without `-y`).",
        "압축 파일에 심볼릭 링크 또는 하드 링크가 있습니다.",
        "링크 대신 실제 파일을 넣어 주세요(`tar -h`, `-y` 없는 `zip`).",
    ),
    (
        "ARCHIVE_SPECIAL_FILE",
        "The archive contains something that is neither a file nor a folder.",
        "Pack ordinary files only: no devices, pipes, sockets or sparse entries.",
        "압축 파일에 일반 파일이나 폴더가 아닌 항목이 있습니다.",
        "일반 파일만 넣어 주세요. 장치, 파이프, 소켓, 희소 파일은 사용할 수 없습니다.",
    ),
    (
        "ARCHIVE_DUPLICATE",
        "Two entries of the archive have the same name, or differ only in case or Unicode form.",
        "Keep one of them and pack again.",
        "같은 이름의 항목이 두 개 있습니다(대소문자나 유니코드 표기만 다른 경우 포함).",
        "하나만 남기고 다시 압축해 주세요.",
    ),
    (
        "ARCHIVE_TOO_MANY_FILES",
        "The archive has more entries than the contest allows.",
        "Pack the model files only.",
        "압축 파일의 항목 수가 허용 개수를 넘습니다.",
        "모델 파일만 넣어 다시 압축해 주세요.",
    ),
    (
        "ARCHIVE_TOO_LARGE",
        "The unpacked files are larger than the contest allows.",
        "Remove what is not needed; the limit is on the contest page.",
        "압축을 푼 크기가 대회 허용 크기를 넘습니다.",
        "필요 없는 파일을 빼 주세요. 제한은 대회 페이지에 있습니다.",
    ),
    (
        "ARCHIVE_RATIO",
        "The archive unpacks to far more than its own size.",
        "Model weights hardly compress; check what is in the archive.",
        "압축을 풀면 원래 크기보다 지나치게 커집니다.",
        "모델 가중치는 거의 압축되지 않습니다. 압축 파일의 내용을 확인해 주세요.",
    ),
    (
        "ARCHIVE_OVERLAP",
        "Entries of the zip file share the same bytes.",
        "Pack it again with an ordinary zip program.",
        "zip 파일의 항목들이 같은 바이트를 함께 사용합니다.",
        "일반적인 압축 프로그램으로 다시 압축해 주세요.",
    ),
    (
        "ARCHIVE_UNSUPPORTED",
        "The archive uses a feature that is not supported here.",
        "No encryption, no split archives; methods: stored or deflate for zip, none, gzip or zstd for tar.",
        "지원하지 않는 압축 기능을 사용했습니다.",
        "암호와 분할 압축은 사용할 수 없습니다. zip은 stored·deflate, tar는 무압축·gzip·zstd를 지원합니다.",
    ),
)

LAYOUT: tuple[Row, ...] = (
    (
        "LAYOUT_MISSING_CONFIG",
        "There is no config.json.",
        "Put config.json and the safetensors files at the top of the archive, or all in one folder such as `model/`.",
        "config.json이 없습니다.",
        "config.json과 safetensors 파일을 압축 파일의 최상위 또는 `model/` 같은 폴더 하나에 넣어 주세요.",
    ),
    (
        "LAYOUT_NO_WEIGHTS",
        "There is no .safetensors file.",
        "Save the model with `save_pretrained(..., safe_serialization=True)`.",
        ".safetensors 파일이 없습니다.",
        "`save_pretrained(..., safe_serialization=True)`로 모델을 저장해 주세요.",
    ),
    (
        "LAYOUT_AMBIGUOUS",
        "The archive has several top folders; it is not clear which one is the model.",
        "Send one model: all files at the top, or all in one folder.",
        "최상위 폴더가 여러 개라 어느 것이 모델인지 알 수 없습니다.",
        "모델 하나만 보내 주세요. 파일을 모두 최상위에 두거나 폴더 하나에 넣어 주세요.",
    ),
    (
        "LAYOUT_SUBFOLDER",
        "There is a folder inside the model folder.",
        "Put all model files side by side and leave other folders out.",
        "모델 폴더 안에 또 다른 폴더가 있습니다.",
        "모델 파일을 한 폴더에 나란히 두고 다른 폴더는 빼 주세요.",
    ),
    (
        "LAYOUT_FORBIDDEN_FILE",
        "This kind of file is not accepted: weights outside safetensors, code, adapters.",
        "Remove it; only config.json and *.safetensors are used.",
        "받을 수 없는 종류의 파일입니다(safetensors가 아닌 가중치, 코드, 어댑터).",
        "이 파일을 빼 주세요. config.json과 *.safetensors만 사용됩니다.",
    ),
    (
        "LAYOUT_NOT_A_FILE",
        "This is not an ordinary file.",
        "Replace links and special files by the files themselves.",
        "일반 파일이 아닙니다.",
        "링크나 특수 파일 대신 실제 파일을 넣어 주세요.",
    ),
    (
        "LAYOUT_IGNORED_FILE",
        "Files that the grader does not use were ignored.",
        "Nothing to do; leaving them out makes the upload smaller.",
        "채점에 쓰이지 않는 파일은 무시했습니다.",
        "조치가 필요 없습니다. 빼면 업로드가 작아집니다.",
    ),
)

JSON: tuple[Row, ...] = (
    (
        "JSON_SYNTAX",
        "The file is not valid JSON with one object in it.",
        "Write it with `json.dump`, UTF-8, without a byte order mark.",
        "올바른 JSON 객체 하나로 된 파일이 아닙니다.",
        "`json.dump`로 BOM 없는 UTF-8로 저장해 주세요.",
    ),
    (
        "JSON_DUPLICATE_KEY",
        "A key appears twice in the same object.",
        "Keep one of them.",
        "같은 객체에 같은 키가 두 번 나옵니다.",
        "하나만 남겨 주세요.",
    ),
    (
        "JSON_NUMBER",
        "A number is not finite or has too many digits.",
        "Use ordinary finite numbers; no NaN, Infinity or 1e999.",
        "유한하지 않거나 자릿수가 너무 많은 수가 있습니다.",
        "NaN, Infinity, 1e999가 아닌 일반적인 수를 사용해 주세요.",
    ),
    (
        "JSON_TOO_DEEP",
        "The JSON is nested too deeply.",
        "A model's JSON needs a few levels only; save it again.",
        "JSON의 중첩이 너무 깊습니다.",
        "모델 JSON은 몇 단계면 충분합니다. 다시 저장해 주세요.",
    ),
    (
        "JSON_TOO_LARGE",
        "The JSON file is too large.",
        "Save it again; config.json takes a few kilobytes.",
        "JSON 파일이 너무 큽니다.",
        "다시 저장해 주세요. config.json은 몇 킬로바이트면 됩니다.",
    ),
)

CONFIG: tuple[Row, ...] = (
    (
        "CONFIG_REMOTE_CODE",
        "config.json asks for code of its own (auto_map).",
        "Remove the key; code is never loaded from a submission.",
        "config.json이 별도의 코드를 요구합니다(auto_map).",
        "이 키를 지워 주세요. 제출물의 코드는 실행하지 않습니다.",
    ),
    (
        "CONFIG_FORBIDDEN_KEY",
        "config.json has a key that could change which code or model runs.",
        "Remove the key.",
        "config.json에 실행 코드나 모델을 바꿀 수 있는 키가 있습니다.",
        "이 키를 지워 주세요.",
    ),
    (
        "CONFIG_ARCHITECTURE",
        "The architecture is not the contest's.",
        "Keep `architectures` and `model_type` as in the base model's config.json.",
        "대회에서 정한 아키텍처가 아닙니다.",
        "`architectures`와 `model_type`을 기본 모델의 config.json과 같게 해 주세요.",
    ),
    (
        "CONFIG_UNKNOWN_KEY",
        "config.json has a key that the base model's does not have.",
        "Remove the key, or ask the organisers if the method needs it.",
        "config.json에 기본 모델에 없는 키가 있습니다.",
        "이 키를 지우거나, 꼭 필요하면 운영진에게 문의해 주세요.",
    ),
    (
        "CONFIG_FIXED_KEY",
        "A value of config.json differs from the base model's but may not.",
        "Put the base model's value back.",
        "config.json에서 바꿀 수 없는 값이 기본 모델과 다릅니다.",
        "기본 모델의 값으로 되돌려 주세요.",
    ),
    (
        "CONFIG_TYPE",
        "A value of config.json has the wrong type.",
        "Use the same type as in the base model's config.json (sizes are positive whole numbers).",
        "config.json 값의 자료형이 잘못되었습니다.",
        "기본 모델의 config.json과 같은 자료형을 사용해 주세요(크기는 양의 정수입니다).",
    ),
    (
        "CONFIG_RANGE",
        "A value of config.json is out of range.",
        "Sizes may shrink but not exceed the base model's.",
        "config.json의 값이 허용 범위를 벗어났습니다.",
        "크기는 줄일 수 있지만 기본 모델보다 클 수 없습니다.",
    ),
    (
        "CONFIG_INCONSISTENT",
        "Values of config.json do not fit each other.",
        "Heads must divide the hidden size (or head_dim be given), and key-value heads must divide the heads.",
        "config.json의 값들이 서로 맞지 않습니다.",
        "어텐션 헤드 수는 hidden_size를 나누어야 하고(또는 head_dim 지정), KV 헤드 수는 헤드 수를 나누어야 합니다.",
    ),
    (
        "CONFIG_LAYER_TYPES",
        "`layer_types` does not have one entry per layer.",
        "After removing layers, shorten `layer_types` to `num_hidden_layers` entries.",
        "`layer_types`의 항목 수가 층 수와 다릅니다.",
        "층을 제거했다면 `layer_types`도 `num_hidden_layers`개로 줄여 주세요.",
    ),
    (
        "CONFIG_IGNORED",
        "Keys of config.json were ignored; the organisers' values are used.",
        "Nothing to do.",
        "config.json의 일부 키를 무시하고 운영진의 값을 사용합니다.",
        "조치가 필요 없습니다.",
    ),
)

SAFETENSORS: tuple[Row, ...] = (
    (
        "ST_HEADER",
        "The file does not begin with a safetensors header.",
        "Save the weights again with safetensors; a renamed .bin, a web page or a cut download does not work.",
        "safetensors 헤더로 시작하지 않는 파일입니다.",
        "가중치를 safetensors로 다시 저장해 주세요. 이름만 바꾼 .bin, 웹 페이지, 중간에 끊긴 파일은 사용할 수 없습니다.",
    ),
    (
        "ST_LFS_POINTER",
        "This is a git-lfs pointer, not the weights.",
        "Run `git lfs pull` (or download the file) and pack again.",
        "가중치가 아니라 git-lfs 포인터 파일입니다.",
        "`git lfs pull`로 실제 파일을 받은 뒤 다시 압축해 주세요.",
    ),
    (
        "ST_OFFSETS",
        "The tensors do not cover the file exactly: there is a gap, an overlap, or bytes too many or too few.",
        "The file is damaged or was cut; save and upload it again.",
        "텐서가 파일을 정확히 채우지 않습니다(빈틈, 겹침, 남거나 모자란 바이트).",
        "파일이 손상되었거나 잘렸습니다. 다시 저장해 업로드해 주세요.",
    ),
    (
        "ST_TENSOR_INFO",
        "A tensor's type, shape and size do not fit each other.",
        "Save the file again with the safetensors library.",
        "텐서의 자료형, 모양, 크기가 서로 맞지 않습니다.",
        "safetensors 라이브러리로 다시 저장해 주세요.",
    ),
    (
        "ST_DUPLICATE_TENSOR",
        "The header names the same tensor twice.",
        "Save the file again with the safetensors library.",
        "헤더에 같은 텐서가 두 번 나옵니다.",
        "safetensors 라이브러리로 다시 저장해 주세요.",
    ),
    (
        "ST_TENSOR_NAME",
        "A tensor has a name that is not allowed.",
        "Use the names that `save_pretrained` writes: letters, digits, `.`, `_` and `-`.",
        "허용되지 않는 텐서 이름이 있습니다.",
        "`save_pretrained`가 쓰는 이름(영문자, 숫자, `.`, `_`, `-`)을 사용해 주세요.",
    ),
    (
        "ST_TOO_MANY_TENSORS",
        "The file has too many tensors.",
        "Save the model without per-row or per-expert fragments.",
        "텐서가 너무 많습니다.",
        "텐서를 잘게 나누지 말고 저장해 주세요.",
    ),
)

INDEX: tuple[Row, ...] = (
    (
        "INDEX_INVALID",
        "model.safetensors.index.json has no valid weight_map.",
        "Let `save_pretrained` write it, or leave it out: it is rebuilt from the files.",
        "model.safetensors.index.json에 올바른 weight_map이 없습니다.",
        "`save_pretrained`로 다시 저장하거나 빼 주세요. 파일에서 다시 만들어집니다.",
    ),
    (
        "INDEX_PATH",
        "The index names a file outside the model folder.",
        "Use plain file names in the index.",
        "인덱스가 모델 폴더 밖의 파일을 가리킵니다.",
        "인덱스에는 파일 이름만 적어 주세요.",
    ),
    (
        "INDEX_MISSING_FILE",
        "The index names a file that is not there.",
        "Upload all shards, or save the model again.",
        "인덱스에 적힌 파일이 없습니다.",
        "모든 조각 파일을 넣거나 모델을 다시 저장해 주세요.",
    ),
    (
        "INDEX_MISMATCH",
        "The index and the files do not agree.",
        "Save the model again, or leave the index out.",
        "인덱스와 파일의 내용이 다릅니다.",
        "모델을 다시 저장하거나 인덱스를 빼 주세요.",
    ),
    (
        "INDEX_DUPLICATE_TENSOR",
        "The same tensor is in two files.",
        "Remove old files from the folder before packing it.",
        "같은 텐서가 두 파일에 있습니다.",
        "압축하기 전에 폴더에서 예전 파일을 지워 주세요.",
    ),
)

QUANT: tuple[Row, ...] = (
    (
        "QUANT_UNSUPPORTED",
        "The quantisation method or scheme is not supported by the contest's engine.",
        "Use one of the contest's methods; `baseline compress` has recipes that work.",
        "대회 엔진이 지원하지 않는 양자화 방식입니다.",
        "대회에서 허용한 방식을 사용해 주세요. `baseline compress`의 레시피를 참고할 수 있습니다.",
    ),
    (
        "QUANT_RANGE",
        "A value of quantization_config is out of range.",
        "Check bits, group_size and the patterns; let the compression tool write this part.",
        "quantization_config의 값이 허용 범위를 벗어났습니다.",
        "bits, group_size, 패턴을 확인하고 압축 도구가 쓴 값을 그대로 사용해 주세요.",
    ),
    (
        "QUANT_SYNTAX",
        "quantization_config has an unknown key or a wrong type.",
        "Let the compression tool write this part and do not edit it by hand.",
        "quantization_config에 알 수 없는 키나 잘못된 자료형이 있습니다.",
        "압축 도구가 쓴 내용을 직접 고치지 말고 그대로 사용해 주세요.",
    ),
    (
        "QUANT_PATTERN",
        "A layer pattern in quantization_config is too long or too costly to match.",
        "Use layer names or simple patterns such as `re:.*mlp.*`.",
        "quantization_config의 층 패턴이 너무 길거나 복잡합니다.",
        "층 이름이나 `re:.*mlp.*` 같은 간단한 패턴을 사용해 주세요.",
    ),
    (
        "QUANT_KV_NOT_ALLOWED",
        "The checkpoint asks for a quantised KV cache, which this contest does not allow.",
        "Remove kv_cache_scheme; the KV-cache type is the same for all teams.",
        "이 대회에서 허용하지 않는 KV 캐시 양자화를 요청했습니다.",
        "kv_cache_scheme을 지워 주세요. KV 캐시 자료형은 모든 팀이 같습니다.",
    ),
    (
        "QUANT_KV_IGNORED",
        "The request for a quantised KV cache was ignored.",
        "Nothing to do; the KV-cache type is the same for all teams.",
        "KV 캐시 양자화 요청을 무시했습니다.",
        "조치가 필요 없습니다. KV 캐시 자료형은 모든 팀이 같습니다.",
    ),
    (
        "QUANT_GROUP_SIZE",
        "The group size does not divide the width of a layer.",
        "Choose a group size that divides it (64 or 32), or channel-wise scales.",
        "그룹 크기가 층의 너비를 나누지 못합니다.",
        "너비를 나누는 그룹 크기(64, 32)나 채널 단위 양자화를 선택해 주세요.",
    ),
    (
        "QUANT_FUSED",
        "Layers that the engine runs as one (q/k/v, gate/up) have different schemes.",
        "Give q_proj, k_proj and v_proj one scheme, and gate_proj and up_proj one scheme.",
        "엔진이 하나로 묶어 실행하는 층(q/k/v, gate/up)의 방식이 서로 다릅니다.",
        "q_proj·k_proj·v_proj를 같은 방식으로, gate_proj·up_proj를 같은 방식으로 양자화해 주세요.",
    ),
    (
        "QUANT_LM_HEAD",
        "lm_head is quantised in a way the engine cannot load; with tied embeddings it shares the embedding's weights.",
        "Put `lm_head` on the ignore list, or untie it and name it as a target if the contest allows that.",
        "엔진이 읽을 수 없는 방식으로 lm_head가 양자화되었습니다. 임베딩을 공유하는 모델에서 lm_head는 임베딩 가중치를 사용합니다.",
        "`lm_head`를 ignore 목록에 넣어 주세요. 대회가 허용하면 공유를 풀고 대상으로 직접 지정할 수 있습니다.",
    ),
    (
        "QUANT_EMBEDDING",
        "The embedding is quantised, which the engine cannot load for this architecture.",
        "Leave `embed_tokens` unquantised.",
        "임베딩이 양자화되어 있어 이 아키텍처에서는 엔진이 읽을 수 없습니다.",
        "`embed_tokens`는 양자화하지 말아 주세요.",
    ),
    (
        "QUANT_ACTORDER",
        "The weights are ordered by activation (actorder group, desc_act), which the engine no longer runs.",
        'Quantise with `actorder="static"`, `desc_act=False`, or without ordering.',
        "엔진이 더 이상 지원하지 않는 활성화 순서(actorder group, desc_act)를 사용했습니다.",
        '`actorder="static"`이나 `desc_act=False`로, 또는 순서 없이 양자화해 주세요.',
    ),
    (
        "QUANT_SPARSITY",
        "The checkpoint is saved in a sparse format that the engine does not run (2:4 kernels also need compute capability 9.0).",
        "Save the weights dense, or quantised without sparsity.",
        "엔진이 지원하지 않는 희소 형식입니다(2:4 희소 커널은 compute capability 9.0도 필요합니다).",
        "희소 형식 없이 일반 형식이나 양자화 형식으로 저장해 주세요.",
    ),
)

KERNEL: tuple[Row, ...] = (
    (
        "KERNEL_MISSING",
        "The contest's GPU has no kernel for this scheme.",
        "Choose a scheme that this GPU runs; W8A8, W4A16 and (from compute capability 8.9) FP8 are safe choices.",
        "대회 GPU에 이 방식을 실행할 커널이 없습니다.",
        "이 GPU에서 실행되는 방식을 선택해 주세요. W8A8, W4A16, FP8(compute capability 8.9 이상)이 안전합니다.",
    ),
    (
        "KERNEL_FP8",
        "This machine has no FP8 arithmetic (compute capability 8.9 or newer); the weights are unpacked on the fly.",
        "It runs, but expect less speed than W8A8 or W4A16.",
        "FP8 연산을 지원하지 않는 장비라(compute capability 8.9 이상 필요) 가중치를 풀어서 계산합니다.",
        "실행은 되지만 W8A8이나 W4A16보다 느릴 수 있습니다.",
    ),
    (
        "KERNEL_EMULATED",
        "This machine has no kernel of its own for the scheme and emulates it.",
        "It runs, but expect less speed than the base model.",
        "이 방식을 위한 전용 커널이 없어 에뮬레이션으로 실행합니다.",
        "실행은 되지만 기본 모델보다 느릴 수 있습니다.",
    ),
    (
        "KERNEL_GROUP_SIZE",
        "The fast Marlin kernels take group sizes 32, 64, 128 or whole channels only.",
        "Use one of these group sizes for speed.",
        "빠른 Marlin 커널은 그룹 크기 32, 64, 128 또는 채널 단위만 지원합니다.",
        "속도를 위해 이 중 하나를 사용해 주세요.",
    ),
    (
        "KERNEL_TILE",
        "A layer's width does not fit the fast kernel's tiles, so it is padded on every step.",
        "Keep widths multiples of 128.",
        "층의 너비가 빠른 커널의 타일에 맞지 않아 매번 패딩이 필요합니다.",
        "너비를 128의 배수로 맞춰 주세요.",
    ),
    (
        "KERNEL_UNSURE",
        "The engine may have no fast kernel for this bit width on the contest's GPU.",
        "Four and eight bits are safe; try others with `baseline measure` on the same kind of GPU first.",
        "대회 GPU에서 이 비트 수를 위한 빠른 커널이 없을 수 있습니다.",
        "4비트와 8비트가 안전합니다. 다른 비트 수는 같은 종류의 GPU에서 `baseline measure`로 먼저 확인해 주세요.",
    ),
    (
        "KERNEL_NO_SAVING",
        "Four-bit values are stored one per byte in this format, so the file is as large as with eight bits.",
        "Use the pack-quantized format, or eight bits.",
        "이 형식에서는 4비트 값이 1바이트씩 저장되어 8비트와 크기가 같습니다.",
        "pack-quantized 형식이나 8비트를 사용해 주세요.",
    ),
)

ORGANISER: tuple[Row, ...] = (
    (
        "TOKENIZER_DIFFERS",
        "The tokenizer differs from the base model's; the organisers' tokenizer is used.",
        "Leave tokenizer files out, or send the base model's unchanged.",
        "토크나이저가 기본 모델과 다릅니다. 채점에는 운영진의 토크나이저를 사용합니다.",
        "토크나이저 파일을 빼거나 기본 모델의 파일을 그대로 사용해 주세요.",
    ),
    (
        "TEMPLATE_DIFFERS",
        "The chat template differs from the base model's; the organisers' template is used.",
        "Leave the template out, or send the base model's unchanged.",
        "채팅 템플릿이 기본 모델과 다릅니다. 채점에는 운영진의 템플릿을 사용합니다.",
        "템플릿을 빼거나 기본 모델의 파일을 그대로 사용해 주세요.",
    ),
    (
        "TEMPLATE_TIMEOUT",
        "The chat template took too long to render.",
        "Send the base model's template unchanged.",
        "채팅 템플릿 처리 시간이 너무 오래 걸렸습니다.",
        "기본 모델의 템플릿을 그대로 사용해 주세요.",
    ),
    (
        "GENCONF_IGNORED",
        "generation_config.json differs from the base model's; the organisers' settings are used.",
        "Nothing to do: sampling and stop tokens are the same for all teams.",
        "generation_config.json이 기본 모델과 다릅니다. 채점에는 운영진의 설정을 사용합니다.",
        "조치가 필요 없습니다. 샘플링과 종료 토큰은 모든 팀이 같습니다.",
    ),
)

WEIGHTS: tuple[Row, ...] = (
    (
        "WEIGHTS_MISSING",
        "Tensors that the configuration needs are missing.",
        "Upload all shards; after removing layers update config.json; after quantising keep the scales.",
        "설정에 필요한 텐서가 없습니다.",
        "모든 조각 파일을 업로드하고, 층을 제거했다면 config.json을 고치고, 양자화했다면 scale 텐서도 포함해 주세요.",
    ),
    (
        "WEIGHTS_UNEXPECTED",
        "There are tensors that the configuration does not use.",
        "Remove them, or correct config.json so that it describes the weights.",
        "설정에서 사용하지 않는 텐서가 있습니다.",
        "해당 텐서를 지우거나 가중치에 맞게 config.json을 고쳐 주세요.",
    ),
    (
        "WEIGHTS_SHAPE",
        "A tensor's shape is not the one that follows from config.json.",
        "Correct config.json, or save the tensor in the expected shape.",
        "텐서의 모양이 config.json에서 정해지는 모양과 다릅니다.",
        "config.json을 고치거나 텐서를 맞는 모양으로 저장해 주세요.",
    ),
    (
        "WEIGHTS_DTYPE",
        "A tensor's type does not fit the quantisation scheme.",
        "Save it in the expected type.",
        "텐서의 자료형이 양자화 방식과 맞지 않습니다.",
        "맞는 자료형으로 저장해 주세요.",
    ),
    (
        "WEIGHTS_NONFINITE",
        "A tensor holds NaN or infinity.",
        "Look at the compression run: a scale has probably over- or underflowed.",
        "텐서에 NaN 또는 무한대가 있습니다.",
        "압축 과정에서 scale이 넘치지 않았는지 확인해 주세요.",
    ),
    (
        "WEIGHTS_ZERO",
        "A tensor holds zeros only.",
        "Fine if you meant it; otherwise look at the compression run.",
        "모든 값이 0인 텐서가 있습니다.",
        "의도한 것이 아니라면 압축 과정을 확인해 주세요.",
    ),
    (
        "WEIGHTS_DUPLICATE_HEAD",
        "lm_head is a second copy of the tied embedding; the engine skips it, but its bytes count.",
        "Remove lm_head.weight and the file gets smaller at the same accuracy.",
        "lm_head가 공유 임베딩의 복사본입니다. 엔진은 읽지 않지만 용량에는 포함됩니다.",
        "lm_head.weight를 지우면 같은 정확도로 파일이 작아집니다.",
    ),
)

LOAD: tuple[Row, ...] = (
    (
        "LOAD_ENGINE",
        "The engine refuses the checkpoint.",
        "Read the end of the log; try the same with `baseline measure` at home.",
        "엔진이 체크포인트를 읽지 못했습니다.",
        "로그의 끝부분을 확인하고, `baseline measure`로 직접 실행해 보세요.",
    ),
    (
        "LOAD_OOM",
        "The model does not fit into the memory that the contest promises.",
        "Make it smaller; the memory is on the contest page.",
        "대회에서 정한 메모리에 모델이 들어가지 않습니다.",
        "모델을 더 줄여 주세요. 메모리 크기는 대회 페이지에 있습니다.",
    ),
    (
        "LOAD_TIMEOUT",
        "The engine did not become ready in time.",
        "Use a scheme that the engine loads directly; unusual shapes may need long compilation.",
        "제한 시간 안에 엔진이 준비되지 않았습니다.",
        "엔진이 바로 읽을 수 있는 방식을 사용해 주세요. 특이한 모양은 컴파일이 오래 걸릴 수 있습니다.",
    ),
    (
        "LOAD_METHOD",
        "The engine resolved another quantisation method than the checkpoint declares.",
        "Let the compression tool write quantization_config and do not edit it.",
        "엔진이 선택한 양자화 방식이 체크포인트의 선언과 다릅니다.",
        "압축 도구가 쓴 quantization_config를 그대로 사용해 주세요.",
    ),
)

RUN: tuple[Row, ...] = (
    (
        "RUN_TIMEOUT",
        "The stage did not finish within its time limit.",
        "The model is far slower than the base model; compare with `baseline measure`.",
        "제한 시간 안에 채점 단계가 끝나지 않았습니다.",
        "모델이 기본 모델보다 지나치게 느립니다. `baseline measure`로 비교해 보세요.",
    ),
    (
        "RUN_HANG",
        "The engine stopped producing tokens, twice.",
        "Try the checkpoint with `baseline measure`; unusual shapes or schemes are the usual cause.",
        "엔진이 두 번 연속으로 응답을 멈췄습니다.",
        "`baseline measure`로 확인해 보세요. 보통 특이한 모양이나 방식이 원인입니다.",
    ),
    (
        "RUN_CRASH",
        "The engine crashed on this checkpoint, on more than one worker.",
        "Read the end of the log; try the checkpoint with `baseline measure`.",
        "여러 워커에서 이 체크포인트를 실행하던 엔진이 비정상 종료되었습니다.",
        "로그의 끝부분을 확인하고 `baseline measure`로 실행해 보세요.",
    ),
    (
        "RUN_NONFINITE",
        "The model produced NaN or infinite probabilities.",
        "A layer overflows; check scales and the activation range.",
        "모델이 NaN 또는 무한대 확률을 출력했습니다.",
        "어떤 층에서 값이 넘칩니다. scale과 활성화 범위를 확인해 주세요.",
    ),
    (
        "RUN_OOM",
        "The model ran out of the memory that the contest promises while it was running.",
        "Make the model or its activations smaller.",
        "실행 중에 대회에서 정한 메모리를 넘었습니다.",
        "모델이나 활성화 크기를 줄여 주세요.",
    ),
)

# Shown to organisers only, and never a verdict.
FLAG: tuple[Row, ...] = (
    (
        "FLAG_LENGTH",
        "The answers are much longer or shorter than the base model's.",
        "Look at the samples: text that never ends, or ends early, changes what a benchmark costs.",
        "답변 길이가 기본 모델과 크게 다릅니다.",
        "샘플을 확인해 주세요. 끝나지 않거나 너무 일찍 끝나는 답변은 벤치마크의 비용을 바꿉니다.",
    ),
    (
        "FLAG_SPEED_ANSWERS",
        "Under the conditions of the speed test the model answers otherwise than in the accuracy run.",
        "Compare the two by hand: a model that notices being timed can trade quality for speed.",
        "속도 측정 조건에서의 답변이 정확도 측정 때와 다릅니다.",
        "두 답변을 직접 비교해 주세요. 측정 중임을 알아채는 모델은 품질을 속도와 맞바꿀 수 있습니다.",
    ),
    (
        "FLAG_COUNTS",
        "The engine counts tokens otherwise than it sends them, goes on after the end of text, or starts differently.",
        "Ask the same question by hand with return_token_ids; speed per token means nothing while counts are wrong.",
        "엔진이 보고하는 토큰 수가 실제와 다르거나, 텍스트가 끝난 뒤에도 계속되거나, 첫 토큰이 달라집니다.",
        "return_token_ids로 같은 문항을 직접 확인해 주세요. 토큰 수가 틀리면 토큰당 속도는 의미가 없습니다.",
    ),
    (
        "FLAG_CANARY",
        "The model answers private questions that it was only told the number of.",
        "Look for the benchmark's own questions in the training data; rank on questions written afterwards.",
        "문항 번호만 알려 준 비공개 문항에 정답을 말합니다.",
        "학습 데이터에 벤치마크 문항이 들어 있는지 확인하고, 이후에 새로 만든 문항으로 순위를 매겨 주세요.",
    ),
    (
        "FLAG_REPEAT",
        "Two grades of this checkpoint differ by more than noise.",
        "Run an A/A test on both workers and grade it a third time before anybody is ranked by it.",
        "같은 체크포인트를 두 번 채점한 결과가 오차 범위를 넘어 다릅니다.",
        "두 워커에서 A/A 테스트를 실행하고, 순위를 정하기 전에 한 번 더 채점해 주세요.",
    ),
    (
        "FLAG_REPEATS",
        "A prompt that was just answered is answered faster the second time.",
        "Make sure that prefix caching is off on this worker; then look for a cache in the model.",
        "방금 처리한 프롬프트를 다시 보내면 더 빨리 응답합니다.",
        "워커의 prefix caching이 꺼져 있는지 확인한 뒤, 모델에 캐시가 있는지 살펴봐 주세요.",
    ),
    (
        "FLAG_WEIGHTS",
        "The weights do not look as if they were made from the base model's.",
        "Ask the team how the checkpoint was made, where the rules demand that base model.",
        "가중치가 기본 모델에서 만들어진 것으로 보이지 않습니다.",
        "규칙이 기본 모델의 사용을 요구한다면, 팀에 체크포인트 제작 과정을 문의해 주세요.",
    ),
    (
        "FLAG_GAP",
        "The model gains more on public questions than on private ones, beyond noise.",
        "Look for public questions in the training data; rank on the private part.",
        "공개 문항에서의 이득이 비공개 문항보다 오차 범위를 넘어 큽니다.",
        "학습 데이터에 공개 문항이 들어 있는지 확인하고, 비공개 문항으로 순위를 매겨 주세요.",
    ),
)

SCORE: tuple[Row, ...] = (
    (
        "SCORE_INVALID",
        "The measurements do not allow a score.",
        "Nothing to do for the team; the submission is measured again.",
        "측정 결과로 점수를 계산할 수 없습니다.",
        "팀이 할 일은 없습니다. 다시 측정합니다.",
    ),
    (
        "SCORE_REFERENCE_MISSING",
        "The base model has no stored result for this contest and kind of worker yet.",
        "Nothing to do for the team; the organisers' base run comes first.",
        "이 대회와 장비에 대한 기본 모델의 결과가 아직 없습니다.",
        "팀이 할 일은 없습니다. 기본 모델 측정이 먼저 진행됩니다.",
    ),
    (
        "SCORE_GATE",
        "A minimum that the contest sets was not reached.",
        "See the gates on the contest page.",
        "대회에서 정한 최소 기준에 미치지 못했습니다.",
        "대회 페이지에서 기준을 확인해 주세요.",
    ),
)

_OURS_EN = "This is on our side: the submission is tried again and costs the team nothing."
_OURS_KO = "저희 쪽 문제입니다. 자동으로 다시 채점하며 제출 횟수는 차감되지 않습니다."

SYSTEM: tuple[tuple[str, str, str], ...] = (
    ("SYS_ENGINE_DIED", "The engine ended unexpectedly.", "엔진이 예기치 않게 종료되었습니다."),
    ("SYS_WORKER_LOST", "The worker stopped answering.", "워커와 연결이 끊어졌습니다."),
    (
        "SYS_NOISY",
        "The machine was too noisy for a fair speed measurement.",
        "장비가 불안정하여 속도를 공정하게 측정하지 못했습니다.",
    ),
    (
        "SYS_TIMEOUT",
        "The attempt took longer than planned for.",
        "채점이 예정된 시간보다 오래 걸렸습니다.",
    ),
    ("SYS_DISK_FULL", "A disk of the grader is full.", "채점 서버의 디스크가 가득 찼습니다."),
    (
        "SYS_STORAGE",
        "Stored files could not be read back as they were written.",
        "저장된 파일을 그대로 다시 읽지 못했습니다.",
    ),
    (
        "SYS_CONTEST_MISMATCH",
        "Site and worker have different versions of the contest.",
        "사이트와 워커의 대회 설정이 서로 다릅니다.",
    ),
    (
        "SYS_INTERNAL",
        "Something unforeseen happened in the grader.",
        "채점 시스템에서 예상하지 못한 오류가 발생했습니다.",
    ),
    (
        "SYS_ATTEMPTS_EXHAUSTED",
        "Several attempts failed for reasons on our side.",
        "저희 쪽 문제로 여러 번 채점에 실패했습니다.",
    ),
    (
        "SYS_GPU_DIRTY",
        "The GPU was in use by something else.",
        "GPU를 다른 프로세스가 사용하고 있었습니다.",
    ),
    (
        "SYS_RESULT_INVALID",
        "The sandbox returned a result that cannot be used.",
        "샌드박스가 사용할 수 없는 결과를 돌려주었습니다.",
    ),
    (
        "SYS_OOM",
        "The worker ran out of memory although the model is within the limits.",
        "모델은 제한 안에 있지만 워커의 메모리가 부족했습니다.",
    ),
    ("SYS_CHECK_CRASHED", "The checker itself failed.", "검사 프로그램에 오류가 발생했습니다."),
    (
        "SYS_DATASET",
        "A benchmark's data could not be read on the worker.",
        "워커에서 벤치마크 데이터를 읽지 못했습니다.",
    ),
    (
        "SYS_BASE_MODEL",
        "The base model could not be loaded on the worker.",
        "워커에서 기본 모델을 불러오지 못했습니다.",
    ),
    (
        "SYS_DOWNLOAD",
        "The worker could not fetch the submission.",
        "워커가 제출물을 내려받지 못했습니다.",
    ),
    (
        "SYS_HUB",
        "The Hugging Face Hub could not be reached, or sent something else than it lists.",
        "Hugging Face Hub에 연결하지 못했거나 목록과 다른 내용이 도착했습니다.",
    ),
    (
        "SYS_SANDBOX",
        "The worker cannot provide the isolation that the contest asks for.",
        "워커가 대회에서 요구하는 격리 환경을 제공하지 못합니다.",
    ),
)

SYSTEM_ROWS: tuple[Row, ...] = tuple((code, en, _OURS_EN, ko, _OURS_KO) for code, en, ko in SYSTEM)

# What an A/A run finds about a worker; staff read it, teams never do.
WORKER: tuple[Row, ...] = (
    (
        "SYS_AA_RATIO",
        "The base model against itself was not equally fast on this worker.",
        "Look for other load, throttling clocks or pinned cores on that machine, then run A/A again.",
        "이 워커에서 같은 기본 모델 둘의 속도가 서로 다르게 측정되었습니다.",
        "장비의 다른 부하, 클럭 제한, 코어 고정 상태를 확인한 뒤 A/A를 다시 실행해 주세요.",
    ),
    (
        "SYS_AA_DRIFT",
        "The base model's own time has moved away from what is usual on this worker.",
        "Something about the machine changed: clocks, cooling, driver, load. Find it, then run A/A again.",
        "이 워커에서 기본 모델의 소요 시간이 평소 값에서 벗어났습니다.",
        "클럭, 냉각, 드라이버, 부하 등 장비의 변화를 확인한 뒤 A/A를 다시 실행해 주세요.",
    ),
)
