"""``baseline check``: what the site's preflight would say, before anything is uploaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baseline.contests import rules
from baseline.errors import Exit, usage
from baseline.options import Contest, Json, Lang
from baseline.output import bytes_text, emit, json_wanted, language, out, safe, use_json
from baseline.show import problems as show_problems


def command(
    path: Annotated[Path, typer.Argument(help="Checkpoint folder or archive.")],
    contest: Contest = "",
    lang: Lang = "",
    json_output: Json = False,
) -> None:
    """Check a checkpoint with the grader's own rules: codes, sentences, hints."""
    from baseline import preflight

    use_json(json_output)
    if not contest:
        raise usage("CONTEST_MISSING", "Checked for which contest?", "Give --contest ID.")
    found = preflight.find(path, rules(contest))
    spoken = language(lang)
    problems = [preflight.in_words(each, spoken) for each in found["problems"]]
    notices = [preflight.in_words(each, spoken) for each in found["notices"]]
    facts = found["facts"]
    if json_wanted():
        emit({
            "path": str(path),
            "contest": contest,
            "ok": not problems,
            "problems": problems,
            "notices": notices,
            "scheme": facts.scheme if facts else "",
            "safetensors_bytes": facts.safetensors_bytes if facts else 0,
            "content_sha256": facts.content_sha256 if facts else "",
        })  # fmt: skip
    else:
        console = out()
        show_problems(console, problems)
        for notice in notices:
            place = " ".join(filter(None, (notice["where"], notice["detail"])))
            console.print(
                f"[yellow]·[/yellow] {notice['code']}: {safe(notice['sentence'])}"
                f"{f' [dim]({safe(place)})[/dim]' if place else ''}"
            )
        if not problems:
            ok = {"en": "No problem found", "ko": "문제가 없습니다"}[spoken]
            tail = f": {facts.scheme}, {bytes_text(facts.safetensors_bytes)}" if facts else ""
            console.print(f"[green]{ok}[/green]{tail}")
    raise typer.Exit(int(Exit.PROBLEM if problems else Exit.OK))
