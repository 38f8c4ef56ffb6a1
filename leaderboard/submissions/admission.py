"""Who may enter what, asked before the first byte."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from leaderboard.contests import phases
from leaderboard.core.errors import Refused
from leaderboard.models import Contest, Ruling, Submission, Team
from leaderboard.storage import archives
from leaderboard.submissions import duplicates, quota


def refuse_same(
    contest: Contest, team: Team, sha256: str, source: dict[str, Any] | None = None
) -> None:
    """Raise ``Refused`` if the team has a result for this archive or commit, or waits for one."""
    number = duplicates.of_archive(team, contest, sha256)
    if number is None and source:
        number = duplicates.of_commit(team, contest, source["repo"], source["commit"])
    if number is not None:
        raise Refused(duplicates.CODE, f"#{number}", extra={"submission": number})


def refuse_closed(contest: Contest, kind: str, begun_at: datetime | None = None) -> None:
    """Raise ``Refused`` if teams may not submit now; organisers may until the contest is finalised.

    ``begun_at``: when the upload began; the contest's grace after a phase's end counts from it.
    """
    if kind != Submission.Kind.SELFTEST:
        phases.refuse_final(contest)
    if kind == Submission.Kind.TEAM and not phases.accepts(contest, begun_at):
        raise Refused("UPLOAD_CLOSED")


def refuse_team(team: Team) -> None:
    """Raise ``Refused`` if the team is disqualified or has used up its day."""
    if team.rulings.in_force().filter(kind=Ruling.Kind.DISQUALIFIED).exists():
        raise Refused("UPLOAD_DISQUALIFIED")
    now = quota.of(team)
    if not now.is_open:
        used = f"{now.used}/{now.limit}, {now.rejected}/{now.rejected_limit}"
        raise Refused("UPLOAD_QUOTA", f"{used}; {now.resets:%Y-%m-%d %H:%M %Z}")


def refuse_size(contest: Contest, size_bytes: int, promised_bytes: int = 0) -> None:
    """Raise ``Refused`` if an archive of this size cannot be taken, before its first byte is stored.

    ``promised_bytes``: room that unfinished uploads were promised.
    """
    limit = contest.rules.limits.archive_bytes
    if size_bytes <= 0:
        raise Refused("UPLOAD_EMPTY")
    if size_bytes > limit:
        raise Refused("UPLOAD_TOO_LARGE", f"{size_bytes:,} > {limit:,} bytes")
    if size_bytes > archives.free_bytes() - promised_bytes:
        raise Refused("UPLOAD_DISK_FULL")
