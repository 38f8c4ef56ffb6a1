"""Checks shared by every verb."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.utils import timezone

from leaderboard.core import names
from leaderboard.core.errors import Refused
from leaderboard.models import Contest, Membership, Ruling, Team, TeamEvent


def is_closed(contest: Contest) -> bool:
    """Teams cannot change once the last phase is over or the result is final."""
    last = max(phase.end for phase in contest.rules.phases)
    return contest.finalised_at is not None or timezone.now() >= last


def may_merge(contest: Contest) -> bool:
    """Until ``limits.merge_until``, and never after the end."""
    until = contest.rules.limits.merge_until
    return not is_closed(contest) and (until is None or timezone.now() < until)


def locked(*teams: Team) -> list[Team]:
    """The teams' rows in the given order; locked in order of their numbers to prevent deadlocks.

    Raises:
        Refused: the contest is over, or a team has been merged into another meanwhile.
    """
    rows = (
        Team.objects.select_for_update(of=("self",))
        .select_related("contest__version")
        .filter(pk__in=[team.pk for team in teams])
        .order_by("pk")
    )
    found = {row.pk: row for row in rows}
    for team in teams:
        row = found.get(team.pk)
        if row is None or row.merged_into_id is not None:
            raise Refused("TEAM_GONE")
        if is_closed(row.contest):
            raise Refused("TEAM_CLOSED")
    return [found[team.pk] for team in teams]


def require_member(team: Team, user: User) -> Membership:
    """The person's membership.

    Raises:
        Refused: not in this team.
    """
    row = team.memberships.select_related("user").filter(user=user).first()
    if row is None:
        raise Refused("TEAM_NOT_MEMBER")
    return row


def require_captain(team: Team, user: User) -> Membership:
    """The captain's membership.

    Raises:
        Refused: not the captain.
    """
    row = require_member(team, user)
    if not row.is_captain:
        raise Refused("TEAM_CAPTAIN_ONLY")
    return row


def refuse_ruled(teams: Iterable[Team]) -> None:
    """A team under a ruling cannot become part of another."""
    if Ruling.objects.in_force().filter(team__in=list(teams)).exists():
        raise Refused("TEAM_RULED")


def like_another(name: str, contest: Contest, team: Team | None = None) -> str | None:
    """The name of another team of the contest, merged or not, that this name could be taken for."""
    others = contest.teams.exclude(pk=team.pk) if team else contest.teams
    return names.alike(name, others.order_by("pk").values_list("name", flat=True))


def refuse_alike(name: str, contest: Contest, team: Team | None = None) -> None:
    """Refuse a name like another's. Locks the contest, so that of two requests at once the second one waits."""
    list(Contest.objects.select_for_update(no_key=True).filter(pk=contest.pk).values_list("pk"))
    if like_another(name, contest, team) is not None:
        raise Refused("TEAM_NAME_TAKEN")


def note(team: Team, kind: str, by: User, detail: str = "") -> None:
    TeamEvent.objects.create(team=team, kind=kind, by=by.get_username(), detail=detail[:200])
