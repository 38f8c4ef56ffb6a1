"""Every gate that an entry passes, in one order for every way in: form, tus, Hub, API, only-check.

    team           whoever enters for a team is in one                   UPLOAD_NO_TEAM
    final          nothing is entered after the result                   CONTEST_FINAL
    closed         the phases, or the organisers, let teams enter        UPLOAD_CLOSED
    size           not empty, not larger than the contest allows         UPLOAD_EMPTY, UPLOAD_TOO_LARGE
    disk           there is room besides what was promised to others     UPLOAD_DISK_FULL
    same           the team has not entered exactly this before          UPLOAD_SAME
    disqualified   the organisers have not excluded the team             UPLOAD_DISQUALIFIED
    quota          something is left of the team's day                   UPLOAD_QUOTA
    unfinished     the person has not begun too many uploads             UPLOAD_TOO_MANY
    checks         the person has not asked for too many checks          UPLOAD_CHECKS

The first gate that is shut is the answer: from what no other file could change to what waiting changes. What
is not known yet is not asked for: before a file's digest or a repository's commit is known, nothing is the same
as before. So whoever enters is asked twice: before the first byte, and under the team's lock when all has come.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F, Sum

from leaderboard.contests import phases
from leaderboard.core import rate_limits
from leaderboard.core.errors import Refused
from leaderboard.models import Check, Contest, Ruling, Submission, Team, Upload
from leaderboard.storage import archives
from leaderboard.submissions import duplicates, queries, quota

MOST_UNFINISHED = 5  # uploads of one person; each may hold as much disk as the contest allows
MOST_WAITING_CHECKS = 3  # of one person; each holds an archive's room on the disk
HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRequest:
    """Somebody wants to enter something, or to have it checked, as far as it is known by now.

    Attributes:
        team: whose entry it would be; None for organisers, and for whoever is in no team.
        only_check: to be checked, and no more: costs none of the quota and may be the same as an entry.
        again: to be measured although the team has entered the same before.
        begun_at: when the upload began; the contest's grace after a phase's end counts from it.
        size_bytes: of a file whose bytes are still to come to this site; None if none will.
        sha256, hub: what was sent, or the commit it is at the Hub, as soon as that is known.
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
    """Raise ``Refused`` at the first gate that is shut. An admitted check counts as one of the hour's."""
    for gate in GATES:
        gate(request)


def team_for(contest: Contest, user: User, kind: str) -> Team | None:
    """Whose entry of this kind it would be; organisers' belong to no team."""
    return queries.team_of(user, contest) if kind == Submission.Kind.TEAM else None


def _team(request: EntryRequest) -> None:
    if request.kind == Submission.Kind.TEAM and request.team is None:
        raise Refused("UPLOAD_NO_TEAM")


def _final(request: EntryRequest) -> None:
    if request.kind != Submission.Kind.SELFTEST:
        phases.refuse_final(request.contest)


def _closed(request: EntryRequest) -> None:
    """Organisers enter at any time."""
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
    if request.size_bytes is None:
        return
    missing = Sum(F("size_bytes") - F("offset_bytes"))
    promised = Upload.objects.unfinished().aggregate(sum=missing)["sum"] or 0
    if request.size_bytes > archives.free_bytes() - promised:
        raise Refused("UPLOAD_DISK_FULL")


def _same(request: EntryRequest) -> None:
    """Of the team's entries that have a result or wait for one."""
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
    if Upload.objects.unfinished().filter(user=request.user).count() >= MOST_UNFINISHED:
        raise Refused("UPLOAD_TOO_MANY", f"{MOST_UNFINISHED}")


def _checks(request: EntryRequest) -> None:
    """Last, because asking counts."""
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
