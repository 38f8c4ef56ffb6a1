"""Who may enter what, asked before the first byte."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from grader.problems.catalogue import Problem
from leaderboard.contests import phases
from leaderboard.core.errors import Refused, Same
from leaderboard.models import Contest, Ruling, Submission, Team
from leaderboard.storage import archives
from leaderboard.submissions import duplicates, quota


def refuse_same(
    contest: Contest, team: Team, sha256: str, source: dict[str, Any] | None = None
) -> None:
    """Raise ``Same`` if the team has a result for this archive or commit, or waits for one."""
    number = duplicates.of_archive(team, contest, sha256)
    if number is None and source:
        number = duplicates.of_commit(team, contest, source["repo"], source["commit"])
    if number is not None:
        raise Same(number)


def refuse_closed(contest: Contest, kind: str, begun_at: datetime | None = None) -> None:
    """Raise ``Refused`` if teams may not submit now; organisers may until the contest is finalised.

    ``begun_at``: when the upload began; the contest's grace after a phase's end counts from it.
    """
    if contest.finalised_at is not None and kind != Submission.Kind.SELFTEST:
        raise Refused(Problem("CONTEST_FINAL"), 409)
    if kind == Submission.Kind.TEAM and not phases.accepts(contest, begun_at):
        raise Refused(Problem("UPLOAD_CLOSED"), 403)


def refuse_team(team: Team) -> None:
    """Raise ``Refused`` if the team is disqualified or has used up its day."""
    if team.rulings.in_force().filter(kind=Ruling.Kind.DISQUALIFIED).exists():
        raise Refused(Problem("UPLOAD_DISQUALIFIED"), 403)
    now = quota.of(team)
    if not now.is_open:
        used = f"{now.used}/{now.limit}, {now.rejected}/{now.rejected_limit}"
        raise Refused(
            Problem("UPLOAD_QUOTA", detail=f"{used}; {now.resets:%Y-%m-%d %H:%M %Z}"), 429
        )


def refuse_size(contest: Contest, size_bytes: int, promised_bytes: int = 0) -> None:
    """Raise ``Refused`` if an archive of this size cannot be taken, before its first byte is stored.

    ``promised_bytes``: room that unfinished uploads were promised.
    """
    limit = contest.rules.limits.archive_bytes
    if size_bytes <= 0:
        raise Refused(Problem("UPLOAD_EMPTY"), 400)
    if size_bytes > limit:
        raise Refused(Problem("UPLOAD_TOO_LARGE", detail=f"{size_bytes:,} > {limit:,} bytes"), 413)
    if size_bytes > archives.free_bytes() - promised_bytes:
        raise Refused(Problem("UPLOAD_DISK_FULL"), 507)
