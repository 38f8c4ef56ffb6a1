"""``baseline status``: show a submission once or until it ends. ``submit --watch`` uses the same code."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from baseline.commands.options import Json, Lang, SiteUrl, Token
from baseline.remote import credentials
from baseline.remote.client import Site
from baseline.terminal.errors import CliError, Exit
from baseline.terminal.output import emit, json_wanted, out, use_json, warn
from baseline.terminal.stages import GRADING, StageDisplay
from baseline.terminal.tables import submission as show_submission

FINAL = {"scored", "rejected", "failed", "cancelled"}
POLL_S = 2.0
# How long the site may be unreachable while we watch; grading continues without us.
PATIENCE_S = 600.0
EXITS = {"rejected": Exit.PROBLEM, "cancelled": Exit.PROBLEM, "failed": Exit.SITE}


def command(
    submission: Annotated[str, typer.Argument(help="Submission id.")],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Watch until it ends.")] = False,
    site: SiteUrl = "",
    token: Token = "",
    lang: Lang = "",
    json_output: Json = False,
) -> None:
    """Show a submission: stage, problems with hints, or every term of its score."""
    use_json(json_output)
    url, token = credentials.resolve(site, token)
    with Site(url, token, spoken=lang) as contest_site:
        document = (
            follow(contest_site, submission) if watch else contest_site.submission(submission)
        )
    raise typer.Exit(finish(document))


def finish(document: dict[str, Any]) -> int:
    """Print a submission and return the exit code for its status."""
    if json_wanted():
        emit(document)
    else:
        show_submission(out(), document)
    return int(EXITS.get(str(document.get("status")), Exit.OK))


def follow(
    site: Site,
    submission: str,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Poll until the submission ends, showing its stages. Survives a site restart.

    Raises:
        CliError: the site refused; INTERRUPTED: the submission exists and continues.
    """
    try:
        return _follow(site, submission, sleep, clock)
    except KeyboardInterrupt as error:
        raise CliError(
            "INTERRUPTED",
            f"No longer watching. Submission {submission} is entered; its grading goes on.",
            f"See it with: baseline status {shlex.quote(submission)} --watch",
            Exit.INTERRUPTED,
        ) from error


def _follow(
    site: Site,
    submission: str,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> dict[str, Any]:
    away_since: float | None = None
    with StageDisplay(GRADING, every_step=True) as display:
        while True:
            try:
                document = site.submission(submission)
                away_since = None
            except CliError as error:
                if error.code not in ("SITE_UNREACHABLE", "SITE_ERROR"):
                    raise
                now = clock()
                if away_since is None:
                    away_since = now
                    warn("The site is away for the moment; grading goes on, still watching.")
                if now - away_since > PATIENCE_S:
                    raise
                sleep(POLL_S * 5)
                continue
            _tell(display, document)
            if document.get("status") in FINAL:
                if document["status"] != "scored":
                    display.fail()
                return document
            sleep(POLL_S)


def _tell(display: StageDisplay, document: dict[str, Any]) -> None:
    progress = document.get("progress") or {}
    display.tell(
        str(document.get("stage") or "?"),
        int(progress.get("done") or 0),
        int(progress.get("total") or 0),
        str(progress.get("note") or ""),
        str(document.get("status", "?")),
    )
