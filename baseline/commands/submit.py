"""``baseline submit``: package, check and upload a checkpoint, or name a Hub repository, and watch the
grading."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baseline.checkpoint.contests import known_here
from baseline.commands.options import Contest, Json, Lang, SiteUrl, Token, need_one
from baseline.commands.status import finish, follow
from baseline.remote import credentials
from baseline.remote.client import Site
from baseline.remote.submitting import archive_of, name_repository, send
from baseline.terminal.errors import Exit, usage
from baseline.terminal.output import (
    emit,
    err,
    json_wanted,
    language,
    note,
    out,
    safe,
    typed,
    use_json,
)
from baseline.terminal.tables import problems as show_problems


def command(
    path: Annotated[Path | None, typer.Argument(help="Checkpoint folder or archive.")] = None,
    hub: Annotated[
        str,
        typer.Option(
            "--hub", metavar="OWNER/NAME[@REV]", help="A Hub repository instead of a file."
        ),
    ] = "",
    contest: Contest = "",
    site: SiteUrl = "",
    token: Token = "",
    remark: Annotated[str, typer.Option("--note", help="A note for your team.")] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow until graded.")] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Grade it even if the team has submitted the same checkpoint before."
        ),
    ] = False,
    check: Annotated[bool, typer.Option(help="Run the grader's checks first.")] = True,
    kind: Annotated[
        str, typer.Option(help="Organizers only: publish as 'base' or 'reference'.", hidden=True)
    ] = "team",
    title: Annotated[
        str, typer.Option(help="Organizers only: the entry's name on the board.", hidden=True)
    ] = "",
    lang: Lang = "",
    json_output: Json = False,
) -> None:
    """Submit a checkpoint; with --watch follow it to its score."""
    use_json(json_output)
    url, token = credentials.resolve(site, token)
    if not contest:
        raise usage("CONTEST_MISSING", "Submit to which contest?", "Give --contest ID.")
    need_one("Submit", path, hub)
    if check and path is not None and _has_problems(path, contest, language(lang)):
        raise typer.Exit(int(Exit.PROBLEM))
    fields = {"note": remark, "kind": kind, "title": title, "again": "1" if again else ""}
    with Site(url, token, spoken=lang) as contest_site:
        if path is None:
            created = name_repository(contest_site, contest, hub, fields)
        else:
            with archive_of(path) as (archive, sha256):
                created = send(contest_site, contest, archive, fields, sha256)
        number, address = str(created["id"]), safe(created.get("url", ""))
        if not watch:
            if json_wanted():
                emit(created)
            else:
                out().print(f"Submission [bold]{safe(number)}[/bold]: {address}")
                err().print(f"[dim]next: baseline status {typed(number)} --watch[/dim]")
            return
        err().print(f"Submission {safe(number)}: {address}")
        document = follow(contest_site, number)
    raise typer.Exit(finish(document))


def _has_problems(path: Path, contest: str, spoken: str) -> bool:
    from baseline.checkpoint import local_check

    rules = known_here(contest)
    if rules is None:
        note(f"{contest} is not among the contests installed here; the site will check.")
        return False
    found = [
        local_check.in_words(each, spoken) for each in local_check.find(path, rules)["problems"]
    ]
    if not found:
        note("The grader's checks found no problem.")
        return False
    if json_wanted():
        emit({"path": str(path), "contest": contest, "ok": False, "problems": found})
    else:
        show_problems(out(), found)
        err().print("Nothing was uploaded. [dim](--no-check uploads anyway.)[/dim]")
    return True
