"""A trial of a contest on the screen, in English or Korean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from baseline.terminal import tables
from baseline.terminal.output import out, safe
from grader.text import Text

PROMPTS = Text("Prompts as sent", "실제로 전송된 프롬프트")
FIRST = Text("First prompt of {name}, {tokens} tokens", "{name}의 첫 프롬프트, {tokens}토큰")
IDS = Text("begins {head}   ends {tail}", "시작 {head}   끝 {tail}")
PROMPT_COLUMNS = (
    Text("benchmark", "벤치마크"), Text("questions", "문항"), Text("BOS", "BOS"),
    Text("longest prompt", "가장 긴 프롬프트"), Text("room", "허용 길이"), Text("cut", "잘린 프롬프트"),
    Text("longest answer", "가장 긴 답변"), Text("limit", "답변 제한"),
    Text("at limit", "제한 도달"), Text("no result", "결과 없음"),
)  # fmt: skip
ANSWERS = 6  # from that column on it is about answers
BOS = {
    "none": Text("none, as meant", "없음(정상)"),
    "one": Text("one", "1개"),
    "missing": Text("missing", "누락"),
    "many": Text("{n}, one is meant", "{n}개(1개가 정상)"),
}
ACCURACY = Text("Accuracy of the base model", "원본 모델의 정확도")
ACCURACY_COLUMNS = (
    Text("benchmark", "벤치마크"), Text("weight", "가중치"), Text("with template", "템플릿 적용"),
    Text("without", "템플릿 미적용"), Text("guessing", "무작위 추측"),
    Text("asked again", "재실행 시 바뀐 문항"),
    Text("reference", "참고 모델"), Text("gained/lost", "얻은/잃은 문항"), Text("told apart", "구별"),
)  # fmt: skip
TERMS = Text("Terms and their noise", "항목별 값과 오차")
TERM_COLUMNS = (
    Text("term", "항목"), Text("weight", "가중치"),
    Text("base model", "원본 모델"), Text("reference", "참고 모델"),
)  # fmt: skip
TERM_NAMES = {
    "accuracy": Text("accuracy", "정확도"),
    "memory": Text("memory", "메모리"),
    "speed": Text("speed", "속도"),
}
SMALLEST = Text(
    "Smallest score difference that is told apart in 4 of 5 cases",
    "다섯 번 중 네 번 구별되는 최소 점수 차이",
)
SMALLEST_COLUMNS = (
    Text("board", "순위표"), Text("as it is", "현재 설정"), Text("2 × questions", "문항 2배"),
    Text("2 × rounds", "라운드 2배"), Text("both", "둘 다 2배"),
    Text("noise from accuracy", "오차 중 정확도 비중"), Text("always tied below", "항상 동점인 차이"),
)  # fmt: skip
BOARDS = {
    "public": Text("public", "공개"),
    "private": Text("private", "비공개"),
    "all": Text("all questions", "전체 문항"),
}
FORMULA = Text(
    "(z₀.₉₇₅ + z₀.₈₀) × standard error of the difference of two entries, paired by question: docs/score.md",
    "(z₀.₉₇₅ + z₀.₈₀) × 두 제출물 점수 차이의 표준오차(문항별 대응): docs/score.md",
)
DISTANCE = Text(
    "Base model {base:.4f}, reference {name} {reference:.4f}: {distance:.4f} apart.",
    "원본 모델 {base:.4f}, 참고 모델 {name} {reference:.4f}: 차이 {distance:.4f}.",
)
BOUNDED = Text(
    "At most: base model and reference got the same questions right, so 3 are taken to differ (rule of three).",
    "상한값: 원본 모델과 참고 모델의 정오답이 모두 같아, 3문항이 다르다고 보고 계산했습니다(3의 법칙).",
)
COST = Text("Cost on {device}", "{device} 기준 비용")
COST_LINES = (
    Text("{minutes:.1f} minutes a grade, {first_minutes:.1f} for the first on a worker",
         "채점 1회에 {minutes:.1f}분, 워커의 첫 채점은 {first_minutes:.1f}분"),
    Text("{teams} teams × quota = {grades_a_day:,} grades a day = {hours_a_day:,.1f} GPU hours a day; "
         "GPUs to keep up: {gpus:,}",
         "{teams}개 팀 × 하루 제출 한도 = 하루 {grades_a_day:,}회 채점 = 하루 {hours_a_day:,.1f} GPU시간, "
         "필요한 GPU {gpus:,}대"),
    Text("{hours:,.0f} GPU hours over {days:,.1f} days of phases, if every team uses all of it",
         "모든 팀이 한도를 다 쓰면 전체 기간 {days:,.1f}일 동안 {hours:,.0f} GPU시간"),
)  # fmt: skip
PAIRINGS = Text("Ways to pair base model and candidate", "원본 모델과 후보의 속도 측정 방식")
PAIRING_COLUMNS = (
    Text("pairing", "방식"), Text("fits", "가능"), Text("needed per GPU", "GPU당 필요"),
    Text("available", "사용 가능"), Text("rounds", "라운드"), Text("minutes", "분"),
    Text("95 % interval", "95 % 구간"),
)  # fmt: skip
PAIRING_NAMES = {
    "side_by_side": Text("side by side", "나란히"),
    "turns": Text("in turns", "번갈아"),
}
CHOSEN = Text("{name} (this contest)", "{name}(이 대회)")
ASSUMED = Text(
    "In turns a round is a pair of blocks; 1 % is assumed from one start of an engine to the next.",
    "번갈아 측정할 때의 라운드는 블록 한 쌍이며, 엔진을 새로 시작할 때마다 1 %씩 달라진다고 가정했습니다.",
)
FINDINGS = Text("Doubtful", "확인이 필요한 점")
FINE = Text("Nothing doubtful was found.", "확인이 필요한 점이 없습니다.")
QUICK = Text(
    "Quick: too few questions and rounds to judge a contest by; try it without --quick before the event.",
    "빠른 시험: 대회를 판단하기에는 문항과 라운드가 부족합니다. 대회 전에 --quick 없이 다시 실행해 주세요.",
)
NOT_SEEN = Text(
    "{name}: its prompts cannot be had here: {why}",
    "{name}: 여기서 프롬프트를 만들 수 없습니다: {why}",
)
YES, NO = Text("yes", "예"), Text("no", "아니요")


def trial(document: dict[str, Any], spoken: str) -> None:
    """Everything that an assessment says."""
    console = out()
    title = f"{safe(document['contest'])} · {safe(document['formula'])}"
    console.print(f"[bold]{title}[/bold]  [dim]{safe(document['grading_sha256'][:12])}[/dim]")
    _prompts(console, document["prompts"], spoken)
    _accuracy(console, document["benchmarks"], spoken)
    _terms(console, document["terms"], spoken)
    _smallest(console, document, spoken)
    cost = document["cost"]
    _heading(console, COST(spoken).format(device=document["device"]))
    for line in COST_LINES:
        console.print(f"  {safe(line(spoken).format(**cost))}")
    _pairings(console, document["pairings"], spoken)
    _findings(console, document["findings"], spoken)
    if document["quick"]:
        console.print(f"[yellow]![/yellow] {safe(QUICK(spoken))}")


def prompts(document: dict[str, Any], spoken: str) -> None:
    """The prompts of a contest, which nobody has answered."""
    console = out()
    if document["prompts"]:
        _prompts(console, document["prompts"], spoken, answered=False)
    reasons = document["unknown"]
    for why in dict.fromkeys(reasons.values()):
        names = ", ".join(name for name, other in reasons.items() if other == why)
        console.print(f"[yellow]![/yellow] {safe(NOT_SEEN(spoken).format(name=names, why=why))}")
    if document["prompts"]:
        _findings(console, document["findings"], spoken)


def _heading(console: Console, text: str) -> None:
    console.print(f"\n[bold]{safe(text)}[/bold]")


def _table(columns: Sequence[Text], spoken: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column(spoken), justify="right" if i else "left")
    return table


def _prompts(
    console: Console, found: list[dict[str, Any]], spoken: str, *, answered: bool = True
) -> None:
    _heading(console, PROMPTS(spoken))
    table = _table(PROMPT_COLUMNS if answered else PROMPT_COLUMNS[:ANSWERS], spoken)
    for one in found:
        generated = one["answer_limit_tokens"] > 0
        answers = [one["longest_answer_tokens"], one["answer_limit_tokens"], one["at_limit"]]
        lost = "-" if one["without_result"] is None else f"{one['without_result']:,}"
        figures = [*(f"{n:,}" if generated else "-" for n in answers), lost]
        table.add_row(
            safe(one["benchmark"]), f"{one['questions']:,}", _bos(one, spoken),
            f"{one['longest_tokens']:,}", f"{one['budget_tokens']:,}", f"{one['cut']:,}",
            *(figures if answered else ()),
        )  # fmt: skip
    console.print(table)
    for one in found:
        first = one["first"]
        text = FIRST(spoken).format(name=one["benchmark"], tokens=f"{first['tokens']:,}")
        ids = IDS(spoken).format(
            head=_tokens(first["head_ids"], first["head"]),
            tail=_tokens(first["tail_ids"], first["tail"]),
        )
        console.print(f"\n  [dim]{safe(text)}[/dim]\n  {safe(ids)}")
        for line in first["text"].splitlines() or [""]:
            console.print(f"  [dim]│[/dim] {safe(line)}")


def _tokens(ids: Sequence[int], texts: Sequence[str]) -> str:
    return " ".join(f"{i} {text!r}" for i, text in zip(ids, texts, strict=True))


def _bos(one: dict[str, Any], spoken: str) -> str:
    return BOS[one["bos"]](spoken).format(n=one["most_bos"])


def _accuracy(console: Console, found: list[dict[str, Any]], spoken: str) -> None:
    _heading(console, ACCURACY(spoken))
    table = _table(ACCURACY_COLUMNS, spoken)
    for one in found:
        own = f"{one['base']:.3f} ± {1.96 * one['error']:.3f}"
        other = f"{one['other']['value']:.3f}" if one["other"] else "-"
        pair = [own, other] if one["template"] else [other, own]
        reference, repeat = one["reference"], one["repeat"]
        apart = reference and reference["p"] < 0.05
        table.add_row(
            safe(one["benchmark"]), tables.number(one["weight"], 2), *pair,
            f"{one['chance']:.2f}" if one["chance"] else "-",
            f"{repeat['won'] + repeat['lost']:,} / {one['questions']:,}",
            f"{reference['value']:.3f}" if reference else "-",
            f"+{reference['won']} −{reference['lost']}" if reference else "-",
            f"{(YES if apart else NO)(spoken)} (p {reference['p']:.2g})" if reference else "-",
        )  # fmt: skip
    console.print(table)


def _terms(console: Console, found: list[dict[str, Any]], spoken: str) -> None:
    _heading(console, TERMS(spoken))
    table = _table(TERM_COLUMNS, spoken)
    for one in found:
        table.add_row(
            TERM_NAMES[one["name"]](spoken), tables.number(one["weight"], 2),
            _within(one["base"], one["base_half_width"]),
            _within(one["reference"], one["reference_half_width"]),
        )  # fmt: skip
    console.print(table)


def _within(value: float | None, half_width: float | None) -> str:
    return "-" if value is None else f"{value:.4f} ± {half_width:.4f}"


def _smallest(console: Console, document: dict[str, Any], spoken: str) -> None:
    if document["reference_score"] is None:
        return
    found = document["resolutions"]
    _heading(console, SMALLEST(spoken))
    table = _table(SMALLEST_COLUMNS, spoken)
    for part in dict.fromkeys(one["part"] for one in found):
        rows = [one for one in found if one["part"] == part]
        share = f"{rows[0]['accuracy_share']:.0%}"
        figures = [f"{one['smallest']:.4f}" for one in rows]
        table.add_row(BOARDS[part](spoken), *figures, share, f"{rows[0]['tie']:.4f}")
    console.print(table)
    console.print(f"  [dim]{safe(FORMULA(spoken))}[/dim]")
    if any(one["bounded"] for one in found):
        console.print(f"  {safe(BOUNDED(spoken))}")
    base, reference = document["base_score"], document["reference_score"]
    text = DISTANCE(spoken).format(
        base=base, reference=reference, distance=abs(reference - base),
        name=document["reference_name"],
    )  # fmt: skip
    console.print(f"  {safe(text)}")


def _pairings(console: Console, found: list[dict[str, Any]], spoken: str) -> None:
    if not found:
        return
    _heading(console, PAIRINGS(spoken))
    table = _table(PAIRING_COLUMNS, spoken)
    for one in found:
        name = PAIRING_NAMES[one["pairing"]](spoken)
        table.add_row(
            CHOSEN(spoken).format(name=name) if one["is_chosen"] else name,
            (YES if one["fits"] else NO)(spoken),
            f"{one['needed_bytes'] / 1e9:.1f} GB", f"{one['available_bytes'] / 1e9:.1f} GB",
            f"{one['rounds']}", f"{one['minutes']:.1f}", f"±{one['half_width']:.2%}",
        )  # fmt: skip
    console.print(table)
    if any(one["is_assumed"] for one in found):
        console.print(f"  [dim]{safe(ASSUMED(spoken))}[/dim]")


def _findings(console: Console, found: list[dict[str, Any]], spoken: str) -> None:
    if not found:
        console.print(f"\n[green]{safe(FINE(spoken))}[/green]")
        return
    _heading(console, FINDINGS(spoken))
    tables.problems(console, found)
