"""``baseline check``: run the site's preflight checks before uploading anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from baseline.checkpoint.contests import rules
from baseline.commands.options import Contest, Json, Lang, SiteUrl, Token, need_one
from baseline.remote import credentials, remote_check
from baseline.remote.client import Site
from baseline.terminal.errors import Exit, usage
from baseline.terminal.output import bytes_text, emit, json_wanted, language, out, safe, use_json
from baseline.terminal.tables import problems as show_problems


def command(
    path: Annotated[Path | None, typer.Argument(help="Checkpoint folder or archive.")] = None,
    contest: Contest = "",
    remote: Annotated[
        bool, typer.Option("--remote", help="Let the site check it; no submission, no quota used.")
    ] = False,
    hub: Annotated[
        str,
        typer.Option("--hub", metavar="OWNER/NAME[@REV]", help="With --remote: a Hub repository."),
    ] = "",
    site: SiteUrl = "",
    token: Token = "",
    lang: Lang = "",
    json_output: Json = False,
) -> None:
    """Check a checkpoint with the grader's own rules: codes, sentences, hints."""
    from baseline.checkpoint import local_check

    use_json(json_output)
    if not contest:
        raise usage("CONTEST_MISSING", "Checked for which contest?", "Give --contest ID.")
    spoken = language(lang)
    if remote:
        raise typer.Exit(_remotely(path, hub, contest, site, token, lang))
    if path is None or hub:
        raise usage("CHECKPOINT_MISSING", "Check which checkpoint?",
                    "Give a folder or an archive; --hub goes with --remote.")  # fmt: skip
    found = local_check.find(path, rules(contest))
    problems = [local_check.in_words(each, spoken) for each in found["problems"]]
    notices = [local_check.in_words(each, spoken) for each in found["notices"]]
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
        _show(problems, notices, facts and (facts.scheme, facts.safetensors_bytes), spoken)
    raise typer.Exit(int(Exit.PROBLEM if problems else Exit.OK))


def _remotely(path: Path | None, hub: str, contest: str, site: str, token: str, lang: str) -> Exit:
    """Show the site's verdict. Its JSON is the site's document with the keys of the local check."""
    need_one("Check", path, hub)
    url, token = credentials.resolve(site, token)
    with Site(url, token, spoken=lang) as contest_site:
        document = remote_check.run(contest_site, contest, path, hub)
    ok = document["state"] == "passed"
    if json_wanted():
        emit({"path": str(path or hub), "ok": ok, **document})
    else:
        facts = (document["scheme"], document["safetensors_bytes"]) if document["scheme"] else None
        _show(document["problems"], document["notices"], facts, language(lang))
    return Exit.OK if ok else Exit.PROBLEM


def _show(
    problems: list[dict[str, Any]],
    notices: list[dict[str, Any]],
    facts: tuple[str, int] | None,
    spoken: str,
) -> None:
    console = out()
    show_problems(console, problems)
    for notice in notices:
        place = " ".join(filter(None, (notice["where"], notice["detail"])))
        console.print(
            f"[yellow]·[/yellow] {safe(notice['code'])}: {safe(notice['sentence'])}"
            f"{f' [dim]({safe(place)})[/dim]' if place else ''}"
        )
    if not problems:
        ok = {"en": "No problems found", "ko": "문제가 없습니다"}[spoken]
        tail = f": {safe(facts[0])}, {bytes_text(facts[1])}" if facts else ""
        console.print(f"[green]{ok}[/green]{tail}")
