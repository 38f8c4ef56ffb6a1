"""Merging two teams: one captain offers, the other accepts.

The team that offered stays, with its name and captain; the other's members and entries move into it, and the
other's name stays taken. As on Kaggle, both together may not have submitted more than one team could have by
then: ``submissions_per_day`` for every day since the contest began. Today's quota, counted from the rows, is
shared.
"""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from leaderboard import notifications
from leaderboard.core import names
from leaderboard.core.errors import Refused
from leaderboard.lifecycle import board_moves
from leaderboard.models import (
    Contest,
    Delivery,
    Evaluation,
    FinalChoice,
    Membership,
    Merger,
    Score,
    Submission,
    Team,
    TeamEvent,
)
from leaderboard.teams.members import shut, withdraw_offers
from leaderboard.teams.rules import locked, may_merge, note, refuse_ruled, require_captain

Status = Merger.Status


def offer(team: Team, name: str, by: User) -> Merger:
    """Offer to take over the team with that name.

    Raises:
        Refused: too late, not the captain, no such team, or together they would exceed a limit.
    """
    with transaction.atomic():
        (row,) = locked(team)
        require_captain(row, by)
        spelled = Q(name__iexact=name.strip()) | Q(name__iexact=names.shown(name))
        other = Team.objects.unmerged().filter(spelled, contest_id=row.contest_id).first()
        if other is None or other.pk == row.pk:
            raise Refused("TEAM_UNKNOWN")
        _refuse_union(row, other)
        try:
            with transaction.atomic():
                made = Merger.objects.create(team=row, other=other, by=by)
        except IntegrityError as error:
            raise Refused("TEAM_MERGE_OFFERED") from error
        notifications.tell_captain(
            other, Delivery.Kind.MERGE, key=f"merger/{made.pk}", offered_by=row.name
        )
        return made


def close(merger: Merger, by: User) -> None:
    """Withdraw one's own offer, or decline one. Raises Refused: neither captain, or already decided."""
    with transaction.atomic():
        offered, asked = locked(merger.team, merger.other)
        mine = offered.memberships.filter(user=by).exists()
        require_captain(offered if mine else asked, by)
        _decide(merger, Status.WITHDRAWN if mine else Status.DECLINED)


def accept(merger: Merger, by: User) -> Team:
    """Merge the two teams.

    Raises:
        Refused: not the captain who got the offer, already decided, too late, or a limit would be exceeded.
    """
    with transaction.atomic():
        board_moves(merger.team.contest_id)
        team, other = locked(merger.team, merger.other)
        require_captain(other, by)
        _refuse_union(team, other)
        _decide(merger, Status.ACCEPTED)
        Membership.objects.filter(team=other).update(team=team, is_captain=False)
        Submission.objects.filter(team=other).update(team=team)
        Score.objects.filter(team=other).update(team=team)
        FinalChoice.objects.filter(
            team__in=[team, other]
        ).delete()  # chosen by one team only, so the merged team chooses again
        shut(other)
        withdraw_offers(team)
        Team.objects.filter(pk=other.pk).update(merged_into=team)
        note(team, TeamEvent.Kind.MERGED, by, other.name)
    return team


def _decide(merger: Merger, status: str) -> None:
    still = Merger.objects.filter(pk=merger.pk, status=Status.OPEN)
    if not still.update(status=status, decided=Now()):
        raise Refused("TEAM_MERGE_OVER")


def _refuse_union(team: Team, other: Team) -> None:
    """Raise Refused unless the two may be merged now."""
    contest = team.contest
    if not may_merge(contest):
        raise Refused("TEAM_MERGE_LATE")
    refuse_ruled([team, other])
    people = Membership.objects.filter(team__in=[team, other]).count()
    size = contest.rules.limits.team_size
    if people > size:
        raise Refused("TEAM_MERGE_SIZE", f"{people} > {size}")
    entries, allowed = _entries(team, other), allowed_so_far(contest)
    if entries > allowed:
        raise Refused("TEAM_MERGE_QUOTA", f"{entries} > {allowed}")


def _entries(*teams: Team) -> int:
    """Submissions that count toward quota, of all time."""
    counted = Evaluation.objects.current().unfinished_or_scored()
    return counted.filter(submission__team__in=teams).count()


def allowed_so_far(contest: Contest) -> int:
    """How many submissions one team could have made by the end of today, in the contest's time zone."""
    zone, now = ZoneInfo(contest.rules.timezone), timezone.now()
    days = 0
    for phase in contest.rules.phases:
        if phase.start <= now:
            last = min(now, phase.end - timedelta(seconds=1))
            days += (last.astimezone(zone).date() - phase.start.astimezone(zone).date()).days + 1
    return days * contest.rules.limits.submissions_per_day
