"""Every gate that an entry passes, in one order for every route: form, tus, Hub, API, check only.

    team           someone who enters for a team is in one               UPLOAD_NO_TEAM
    final          nothing is entered after the result                   CONTEST_FINAL
    closed         the phases, or the organizers, let teams enter        UPLOAD_CLOSED
    size           not empty, not larger than the contest allows         UPLOAD_EMPTY, UPLOAD_TOO_LARGE
    disk           there is room for it now                              UPLOAD_DISK_FULL
    same           the team has not entered exactly this before          UPLOAD_SAME
    disqualified   the organizers have not excluded the team             UPLOAD_DISQUALIFIED
    quota          the team has some of today's quota left               UPLOAD_QUOTA
    unfinished     the team has not started too many uploads             UPLOAD_TOO_MANY
    checks         the person has not requested too many checks          UPLOAD_CHECKS

The first closed gate is the answer. Gates are ordered from conditions that no other file could change to
conditions that change with time. Unknown facts are skipped: before a file's digest or a repository's commit is
known, nothing counts as a duplicate. So every entry is checked twice: before the first byte, and under the
team's lock once everything has arrived.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q

from leaderboard.contests import phases
from leaderboard.core import rate_limits
from leaderboard.core.errors import Refused
from leaderboard.models import Check, Contest, Ruling, Submission, Team, Upload
from leaderboard.storage import disk
from leaderboard.submissions import duplicates, queries, quota

MOST_UNFINISHED = 5  # uploads per team; each may take as much disk as the contest allows
MOST_WAITING_CHECKS = 3  # per person; each takes an archive's space on the disk
HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRequest:
    """A request to enter something, or to have it checked, with what is known so far.

    Attributes:
        team: whose entry it would be; None for organizers, and for people without a team.
        only_check: only checked: uses no quota and may be a duplicate of an entry.
        again: grade it even if the team has entered the same before.
        begun_at: when the upload began; the contest's grace period after a phase's end counts from it.
        size_bytes: of a file whose bytes are still to come to this site; None if none will.
        sha256, hub: the digest of what was sent, or its commit on the Hub, once known.
    """

    contest: Contest
    user: User
    team: Team | None
    kind: str = Submission.Kind.TEAM
    only_check: bool = False
    again: bool = False
    begun_at: datetime | None = None
    size_bytes: int | None = None
    sha256: str = ""
    hub: dict[str, Any] = field(default_factory=dict)


def admit(request: EntryRequest) -> None:
    """Raise ``Refused`` at the first closed gate. An admitted check counts toward the hourly limit."""
    for gate in GATES:
        gate(request)


def team_for(contest: Contest, user: User, kind: str) -> Team | None:
    """The team that an entry of this kind belongs to; the organizers' belong to none."""
    return queries.team_of(user, contest) if kind == Submission.Kind.TEAM else None


def _team(request: EntryRequest) -> None:
    if request.kind == Submission.Kind.TEAM and request.team is None:
        raise Refused("UPLOAD_NO_TEAM")


def _final(request: EntryRequest) -> None:
    if request.kind != Submission.Kind.SELFTEST:
        phases.refuse_final(request.contest)


def _closed(request: EntryRequest) -> None:
    """Organizers may enter at any time."""
    is_team = request.kind == Submission.Kind.TEAM
    if is_team and not phases.accepts(request.contest, request.begun_at):
        raise Refused("UPLOAD_CLOSED")


def _size(request: EntryRequest) -> None:
    if request.size_bytes is None:
        return
    limit = request.contest.rules.limits.archive_bytes
    if request.size_bytes <= 0:
        raise Refused("UPLOAD_EMPTY")
    if request.size_bytes > limit:
        raise Refused("UPLOAD_TOO_LARGE", f"{request.size_bytes:,} > {limit:,} bytes")


def _disk(request: EntryRequest) -> None:
    """No space is reserved for announced bytes, because five empty uploads would then block everybody else.

    If the disk fills up in the meantime, storing stops at the reserve and resumes when there is room.
    """
    if request.size_bytes is None:
        return
    if request.size_bytes > disk.free_bytes():
        raise Refused("UPLOAD_DISK_FULL")


def _same(request: EntryRequest) -> None:
    """Among the team's entries that have a result or are waiting for one."""
    team, contest, hub = request.team, request.contest, request.hub
    if team is None or request.again or request.only_check:
        return
    number = duplicates.of_archive(team, contest, request.sha256)
    if number is None and hub:
        number = duplicates.of_commit(team, contest, hub["repo"], hub["commit"])
    if number is not None:
        raise Refused(duplicates.CODE, f"#{number}", extra={"submission": number})


def _disqualified(request: EntryRequest) -> None:
    if request.team is None or request.only_check:
        return
    ruled = request.team.rulings.in_force().filter(kind=Ruling.Kind.DISQUALIFIED)
    if ruled.exists():
        raise Refused("UPLOAD_DISQUALIFIED")


def _quota(request: EntryRequest) -> None:
    if request.team is None or request.only_check:
        return
    now = quota.of(request.team)
    if not now.is_open:
        used = f"{now.used}/{now.limit}, {now.rejected}/{now.rejected_limit}"
        raise Refused("UPLOAD_QUOTA", f"{used}; {now.resets:%Y-%m-%d %H:%M %Z}")


def _unfinished(request: EntryRequest) -> None:
    if request.size_bytes is None:
        return
    whose = Q(user=request.user)
    if request.team is not None:
        whose |= Q(user__memberships__team=request.team, contest=request.contest)
    if Upload.objects.unfinished().filter(whose).distinct().count() >= MOST_UNFINISHED:
        raise Refused("UPLOAD_TOO_MANY", f"{MOST_UNFINISHED}")


def _checks(request: EntryRequest) -> None:
    """Last, because checking this limit also counts the request."""
    if not request.only_check:
        return
    if Check.objects.filter(user=request.user, finished=None).count() >= MOST_WAITING_CHECKS:
        raise Refused("UPLOAD_CHECKS", str(MOST_WAITING_CHECKS))
    most = settings.CHECKS_PER_HOUR
    if rate_limits.take("check", f"user {request.user.pk}", most, HOUR_S).is_over:
        raise Refused("UPLOAD_CHECKS", str(most))


GATES = (
    _team,
    _final,
    _closed,
    _size,
    _disk,
    _same,
    _disqualified,
    _quota,
    _unfinished,
    _checks,
)
