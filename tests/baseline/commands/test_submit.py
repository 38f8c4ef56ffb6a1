from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import tarfile

import httpx
import pytest

from baseline.checkpoint.contests import rules
from baseline.checkpoint.packaging import pack
from baseline.commands import status
from baseline.remote import tus
from baseline.remote.client import Site, token_in_clear
from baseline.terminal.errors import CliError
from tests.baseline.conftest import FakeUploads
from tests.baseline.terminal import in_terminal

CREATE = ("POST", "/api/uploads/")
GET = ("GET", "/api/submissions/7")
CREATED = (201, {"id": 7, "url": "/s/7", "status": "queued", "stage": "check"})
SCORED = {
    "id": 7, "team": "us", "status": "scored", "stage": "score", "problems": [], "score": 0.7314,
    "half_width": 0.004, "url": "https://site.example/s/7",
    "terms": [{"name": "accuracy", "weight": 0.6, "value": 0.98, "half_width": 0.01, "points": 0.588}],
}  # fmt: skip


@pytest.fixture
def submit(run, site):
    def call(*arguments):
        return run("submit", *arguments, "--site", site.url, "--token", "secret", "-c", "demo")

    return call


@pytest.fixture
def uploads(site):
    return FakeUploads(site, CREATED)


def test_a_folder_is_packed_sent_with_its_note_and_removed_again(
    checkpoint, submit, site, uploads, tmp_path
):
    code, out, err = submit(checkpoint, "--no-check", "--note", "첫 제출")
    assert (code, "Submission 7: /s/7" in out) == (0, True)
    assert site.requests[0]["headers"]["authorization"] == "Bearer secret"
    assert (uploads.facts["contest"], uploads.facts["note"]) == ("demo", "첫 제출")
    digest = hashlib.sha256(uploads.received).hexdigest()
    assert digest == pack(checkpoint, tmp_path / "again.tar").sha256 == uploads.facts["sha256"]
    assert digest in err
    with tarfile.open(fileobj=io.BytesIO(uploads.received)) as tar:
        assert tar.getnames() == ["config.json", "model.safetensors"]
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoint", "again.tar", "state"}
    assert json.loads((tmp_path / "state/paretoboard/uploads.json").read_text()) == {}


def test_what_lies_beside_the_weights_does_not_keep_a_folder_from_being_sent(
    submit, uploads, tmp_path
):
    folder = shutil.copytree(rules("demo").base_folder, tmp_path / "base")
    (folder / "train.py").write_text("")
    (folder / "logs").mkdir()
    assert submit(folder)[0] == 0
    with tarfile.open(fileobj=io.BytesIO(uploads.received)) as tar:
        assert tar.getnames() == ["config.json", "model.safetensors"]


def test_watching_tells_every_change_and_ends_with_every_term(checkpoint, submit, site, uploads):
    site.answers[GET] = [
        (200, {"id": 7, "status": "queued", "stage": "wait", "progress": {"done": 0, "total": 0, "note": ""}}),
        (200, {"id": 7, "status": "running", "stage": "quality",
               "progress": {"done": 23, "total": 160, "note": "gsm8k"}}),
        (200, SCORED),
    ]  # fmt: skip
    code, out, err = submit(checkpoint, "--no-check", "--watch")
    assert code == 0
    assert "running · quality 23/160 · gsm8k" in err
    assert "0.7314 ± 0.0040" in out
    assert "accuracy" in out and "0.5880" in out


def test_on_a_terminal_the_stages_are_a_live_list(site):
    site.answers[GET] = [
        (200, {"id": 7, "status": "queued", "stage": "wait", "progress": {}}),
        (200, {"id": 7, "status": "running", "stage": "quality",
               "progress": {"done": 23, "total": 160, "note": "gsm8k"}}),
        (200, SCORED),
    ]  # fmt: skip
    command = [sys.executable, "-c", "import baseline.commands.status as s, sys; s.POLL_S = 0.4; "
               "from baseline.cli import run; sys.exit(run(sys.argv[1:]))",
               "status", "7", "--watch", "--site", site.url, "--token", "t"]  # fmt: skip
    screen, code = in_terminal(command, {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"})
    assert code == 0
    assert "23/160 gsm8k" in screen and "━" in screen
    # The cursor is back
    assert "\x1b[?25l" in screen and screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")
    end = screen[screen.index("0.7314") - 400 :]
    assert end.count("✓") >= 3 and "▸" not in end


def test_a_rejection_is_exit_1_with_sentence_and_hint(checkpoint, submit, site, uploads):
    problem = {"code": "TENSOR_MISSING", "stage": "check", "sentence": "A tensor is missing.",
               "hint": "Save the whole model.", "where": "model.safetensors", "detail": "lm_head"}  # fmt: skip
    site.answers[GET] = (
        200,
        {"id": 7, "status": "rejected", "stage": "check", "problems": [problem]},
    )
    code, out, _ = submit(checkpoint, "--no-check", "--watch")
    assert code == 1
    assert "TENSOR_MISSING model.safetensors: A tensor is missing. (lm_head)" in out
    assert "→ Save the whole model." in out


SAME = {
    "code": "UPLOAD_SAME",
    "message": "Entered before (#3).",
    "hint": "Look at it.",
    "submission": 3,
}


def test_the_same_once_more_is_refused_before_a_byte_and_measured_on_request(
    checkpoint, submit, site, uploads
):
    create = site.answers[CREATE]
    site.answers[CREATE] = (409, SAME)
    code, _, err = submit(checkpoint, "--no-check")
    assert code == 3 and "UPLOAD_SAME Entered before (#3)." in err
    assert (uploads.received, uploads.creations) == (b"", 0)
    site.answers[CREATE] = create
    site.answers["POST", f"{uploads.ADDRESS}/submission?again=1"] = CREATED
    assert submit(checkpoint, "--no-check", "--again")[0] == 0
    assert uploads.facts["again"] == "1"


def test_the_same_that_is_found_at_the_end_is_not_asked_for_until_patience_ends(
    checkpoint, submit, site, uploads
):
    site.answers["POST", f"{uploads.ADDRESS}/submission"] = (409, SAME)
    code, _, err = submit(checkpoint, "--no-check")
    assert code == 3 and "UPLOAD_SAME" in err


HUB_ENTRY = ("POST", "/api/contests/demo/submissions/hub")
PINNED = {"repo": "team/model", "revision": "v2", "commit": "a" * 40}


def test_a_repository_is_named_pinned_and_watched(submit, site):
    site.answers[HUB_ENTRY] = (201, {**CREATED[1], "hub": PINNED})
    site.answers[GET] = (200, SCORED)
    code, out, err = submit("--hub", "team/model@v2", "--note", "첫 제출", "--watch")
    assert code == 0 and "0.7314 ± 0.0040" in out
    assert "team/model at commit aaaaaaaaaaaa" in err
    sent = json.loads(site.requests[0]["body"])
    assert (sent["repo"], sent["note"], sent["kind"]) == ("team/model@v2", "첫 제출", "team")
    assert site.requests[0]["headers"]["authorization"] == "Bearer secret"


def test_a_refused_repository_is_told_in_the_sites_words(submit, site):
    body = {"code": "HUB_GATED", "message": "It asks for terms.", "hint": "Switch that off."}
    site.answers[HUB_ENTRY] = (403, body)
    code, out, err = submit("--hub", "team/model")
    assert (code, out) == (3, "")
    assert err.splitlines()[-2:] == ["HUB_GATED It asks for terms.", "  → Switch that off."]


@pytest.mark.parametrize("both", [True, False])
def test_a_file_or_a_repository_is_one_of_them(checkpoint, submit, site, both):
    code, _, err = submit(checkpoint, "--hub", "team/model") if both else submit()
    assert (code, site.requests) == (2, []) and "CHECKPOINT_MISSING" in err


@pytest.mark.parametrize(("ending", "code"), [("failed", 3), ("cancelled", 1), ("scored", 0)])
def test_each_ending_has_its_exit_code(run, site, ending, code):
    site.answers[GET] = (200, {**SCORED, "status": ending})
    arguments = ("status", "7", "--watch", "--site", site.url, "--token", "t", "--json")
    found, out, _ = run(*arguments)
    assert (found, json.loads(out)["status"]) == (code, ending)


def test_the_sites_refusal_is_passed_on_in_its_own_words(checkpoint, submit, site):
    body = {"code": "QUOTA_USED", "message": "3 of 3 used today.", "hint": "Resets at 00:00 KST."}
    site.answers[CREATE] = (429, body)
    code, out, err = submit(checkpoint, "--no-check")
    assert (code, out) == (3, "")
    assert err.splitlines()[-2:] == ["QUOTA_USED 3 of 3 used today.", "  → Resets at 00:00 KST."]


def test_a_refusal_at_the_end_keeps_the_upload_for_another_day(checkpoint, submit, site, uploads):
    refusal = {"code": "UPLOAD_QUOTA", "message": "Used up.", "hint": "Wait."}
    site.answers["POST", f"{uploads.ADDRESS}/submission"] = [(429, refusal), CREATED]
    assert submit(checkpoint, "--no-check")[0] == 3
    assert submit(checkpoint, "--no-check")[0] == 0  # the same bytes need not be sent again
    assert uploads.creations == 1


@pytest.mark.parametrize(
    ("status_code", "body", "expected"),
    [
        (401, b"nope", "TOKEN_REFUSED"),
        (404, b"<html>", "NOT_FOUND"),
        (200, b"<html>welcome</html>", "SITE_ANSWER"),
        (200, [1, 2], "SITE_ANSWER"),
        (302, b"", "SITE_MOVED"),
        (500, b"", "SITE_ERROR"),
    ],
)
def test_a_site_that_does_not_speak_the_api(run, site, status_code, body, expected):
    site.answers[GET] = (status_code, body)
    code, out, _ = run("status", "7", "--site", site.url, "--token", "t", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (3, expected)


@pytest.mark.parametrize(
    "body", [{"code": "AUTH_EXPIRED", "message": "Expired on 3 May."}, b"nginx"]
)
def test_an_expired_token_says_how_to_get_a_new_one(checkpoint, submit, site, body):
    site.answers[CREATE] = (401, body)
    code, out, err = submit(checkpoint, "--no-check")
    assert (code, out) == (3, "")
    own_words = "TOKEN_REFUSED" if isinstance(body, bytes) else "AUTH_EXPIRED Expired on 3 May."
    assert own_words in err
    assert f"baseline login --site {site.url}" in err


def test_a_teams_name_cannot_draw_on_the_terminal(run, site):
    entry = {"rank": 1, "team": "\x1b[2J[red]us[/red]\u202e", "kind": "team", "score": 0.7}
    site.answers["GET", "/api/contests/demo/board"] = (200, {"entries": [entry]})
    code, out, _ = run("board", "-c", "demo", "--site", site.url)
    assert code == 0
    assert "\x1b" not in out and "\u202e" not in out
    assert "[red]us[/red]" in out


def test_an_address_of_the_site_cannot_draw_on_the_terminal(checkpoint, submit, site):
    FakeUploads(site, (201, {"id": "[/7]", "url": "/s/[/bold]\x1b[2J", "status": "queued"}))
    code, out, err = submit(checkpoint, "--no-check")
    assert code == 0 and "\x1b" not in out
    assert "Submission [/7]: /s/[/bold]" in out
    assert "baseline status '[/7]' --watch" in err
    site.answers["POST", "/api/uploads/"] = (
        429,
        {"code": "[/x]", "message": "[/y]", "hint": "[/z]"},
    )
    code, _, err = submit(checkpoint, "--no-check")
    assert code == 3 and "[/x] [/y]" in err


def test_reading_survives_a_site_that_restarts(site):
    site.answers[GET] = [(502, b""), (503, b""), (200, SCORED)]
    with Site(site.url, "t") as client:
        assert client.submission("7") == SCORED


def test_watching_outlasts_an_absence_but_not_for_ever(capsys):
    answers = iter([httpx.ConnectError("refused")] * 40)
    moments = iter(range(0, 10_000, 100))

    def answer(request: httpx.Request) -> httpx.Response:
        if (error := next(answers, None)) is not None:
            raise error
        return httpx.Response(200, json=SCORED)

    def client() -> Site:
        return Site("https://site.example", "t", httpx.MockTransport(answer), lambda _s: None)

    with client() as site, pytest.raises(CliError, match="cannot be reached"):
        status.follow(site, "7", sleep=lambda _s: None, clock=lambda: float(next(moments)))
    answers = iter([httpx.ConnectError("refused")] * 5)
    with client() as site:
        found = status.follow(site, "7", sleep=lambda _s: None, clock=lambda: 0.0)
    assert found["status"] == "scored"
    assert "still watching" in capsys.readouterr().err


def interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("as_json", [False, True])
def test_who_stops_watching_is_told_that_the_entry_is_made(
    checkpoint, submit, site, uploads, monkeypatch, as_json
):
    site.answers[GET] = (200, {"id": 7, "status": "queued", "stage": "wait", "progress": {}})
    monkeypatch.setattr("baseline.commands.status.time.sleep", interrupted)
    monkeypatch.setattr("baseline.commands.status.follow.__defaults__", (interrupted, lambda: 0.0))
    options = ("--json",) if as_json else ()
    code, out, err = submit(checkpoint, "--no-check", "--watch", *options)
    assert (code, "nothing half-done" in err) == (130, False)
    said = json.loads(out)["error"] if as_json else {"code": err, "message": err, "hint": err}
    assert "INTERRUPTED" in said["code"] and "goes on" in said["message"]
    assert "baseline status 7 --watch" in said["hint"]


def test_an_upload_that_is_interrupted_says_that_it_can_go_on(
    checkpoint, submit, uploads, monkeypatch
):
    monkeypatch.setattr("baseline.remote.tus._Transfer._tell", interrupted)
    code, _, err = submit(checkpoint, "--no-check")
    assert (code, "INTERRUPTED" in err, "Run the same command again" in err) == (130, True, True)
    assert "nothing half-done" not in err
    monkeypatch.undo()


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(range(256)) * 4096)
    return path


def test_a_site_that_restarts_is_waited_for(site, uploads, archive, monkeypatch):
    monkeypatch.setattr(tus, "CHUNK_BYTES", 100_000)
    uploads.stumble = {"PATCH": [502, 503, 423, 409], "HEAD": [502]}
    steps: list[int] = []
    with Site(site.url, "t") as client:
        assert tus.upload(client, "demo", archive, {"note": ""}, steps.append)["id"] == 7
    assert uploads.received == archive.read_bytes()
    assert sum(steps) == archive.stat().st_size
    assert len(steps) > 10


def test_a_second_run_goes_on_where_the_first_broke_off(site, uploads, archive, monkeypatch):
    monkeypatch.setattr(tus, "CHUNK_BYTES", 300_000)
    monkeypatch.setattr(tus, "PATIENCE_S", -1.0)

    def stumble_after_one_chunk(count: int) -> None:
        if count:
            uploads.stumble = {"PATCH": [502]}

    with Site(site.url, "t") as client:
        with pytest.raises(CliError) as caught:
            tus.upload(client, "demo", archive, {}, stumble_after_one_chunk)
        assert (caught.value.code, len(uploads.received)) == ("UPLOAD_INTERRUPTED", 300_000)
        assert "300,000 of 1,048,576 bytes" in caught.value.message
        steps: list[int] = []
        tus.upload(client, "demo", archive, {}, steps.append)
    assert (uploads.creations, uploads.received) == (1, archive.read_bytes())
    assert steps[0] == 300_000


def test_an_upload_that_the_site_forgot_is_begun_anew(site, uploads, archive):
    uploads.stumble = {"HEAD": [404]}
    with Site(site.url, "t") as client:
        tus.upload(client, "demo", archive, {})
    assert (uploads.creations, uploads.received) == (2, archive.read_bytes())


def test_a_changed_archive_is_another_upload(site, uploads, archive, monkeypatch):
    monkeypatch.setattr(tus, "PATIENCE_S", -1.0)
    uploads.stumble = {"PATCH": [502]}
    with Site(site.url, "t") as client:
        with pytest.raises(CliError):
            tus.upload(client, "demo", archive, {})
        archive.write_bytes(archive.read_bytes()[::-1])
        tus.upload(client, "demo", archive, {})
    assert uploads.creations == 2


def test_an_unreachable_site_and_a_wrong_address(checkpoint, run):
    arguments = ("submit", checkpoint, "-c", "demo", "--token", "t", "--no-check", "--site")
    code, _, err = run(*arguments, "http://127.0.0.1:1")
    assert (code, "SITE_UNREACHABLE" in err) == (3, True)
    assert run(*arguments, "site.example")[0] == 2


@pytest.mark.parametrize(
    "command",
    [
        "submit FILES -c demo --no-check",
        "check FILES -c demo --remote",
        "status 1",
        "board -c demo",
    ],
)
def test_a_token_is_not_sent_in_clear_without_a_word(checkpoint, run, command):
    site = f"http://{command.split()[0]}.invalid"  # one per command is enough
    words = [str(checkpoint) if word == "FILES" else word for word in command.split()]
    code, _, err = run(*words, "--token", "t", "--site", site)
    assert (code, err.count("is not encrypted"), "SITE_UNREACHABLE" in err) == (3, 1, True)


def test_a_token_in_clear_is_one_that_crosses_a_network():
    assert token_in_clear("http://site.example")
    assert not token_in_clear("http://127.0.0.1:8000")
    assert not token_in_clear("https://site.example")


@pytest.mark.parametrize("missing", ["--site", "--token", "-c"])
def test_what_is_missing_is_asked_for(checkpoint, run, missing):
    given = {"--site": "http://127.0.0.1:1", "--token": "t", "-c": "demo"}
    given.pop(missing)
    code, _, err = run("submit", checkpoint, *(word for pair in given.items() for word in pair))
    assert code == 2
    assert "→" in err


def test_the_board_in_the_terminal(run, site):
    entry = {"rank": 1, "team": "us", "kind": "team", "score": 0.7, "half_width": 0.01,
             "terms": [{"name": "accuracy", "value": 0.98}], "safetensors_bytes": 971_000_000,
             "speedup": 1.42}  # fmt: skip
    base = {**entry, "rank": None, "team": "base", "kind": "base"}
    columns = [{"field": "safetensors_bytes", "heading": "bytes", "unit": "bytes"},
               {"field": "speedup", "heading": "speed-up", "unit": "factor"},
               {"field": "ttft_s", "heading": "first token", "unit": "furlongs"}]  # fmt: skip
    site.answers["GET", "/api/contests/demo/board"] = (
        200,
        {"contest": "demo", "columns": columns, "entries": [entry, base]},
    )
    code, out, _ = run("board", "-c", "demo", "--site", site.url)
    assert code == 0
    assert "971,000,000" in out and "×1.42" in out and "base (base)" in out
