"""Creating, joining, leaving and leading teams."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.db.models.functions import Now

from leaderboard.core.errors import Refused
from leaderboard.lifecycle import board_moves
from leaderboard.models import Contest, Invitation, Membership, Merger, Team, TeamEvent, Webhook
from leaderboard.teams.rules import (
    is_closed,
    locked,
    note,
    refuse_alike,
    require_captain,
    require_member,
)

Kind = TeamEvent.Kind
T = TypeVar("T")


def create(contest: Contest, name: str, captain: User) -> Team:
    """A new team with its captain as its member.

    Raises:
        Refused: the person belongs to a team of this contest, the name is taken, the contest is over.
    """
    if is_closed(contest):
        raise Refused("TEAM_CLOSED")
    with transaction.atomic():
        refuse_alike(name, contest)
        team = named(lambda: Team.objects.create(contest=contest, name=name))
        join(team, captain, is_captain=True)
        note(team, Kind.CREATED, captain)
    return team


def join(team: Team, user: User, *, is_captain: bool = False) -> Membership:
    """A membership; the database allows one per person and contest, even for concurrent requests."""
    try:
        with transaction.atomic():
            return Membership.objects.create(
                contest_id=team.contest_id, team=team, user=user, is_captain=is_captain
            )
    except IntegrityError as error:
        if "one_team_per_person" in str(error):
            raise Refused("TEAM_ALREADY") from error
        raise


def rename(team: Team, name: str, by: User) -> None:
    """Rename the team. Raises Refused: not the captain, taken, contest over."""
    with transaction.atomic():
        board_moves(team.contest_id)
        (row,) = locked(team)
        require_captain(row, by)
        refuse_alike(name, row.contest, row)
        named(lambda: Team.objects.filter(pk=row.pk).update(name=name))
        note(row, Kind.RENAMED, by, f"{row.name} → {name}")


def leave(team: Team, user: User) -> bool:
    """Leave the team; True if that deletes it, with its last member. A team with a history is kept, empty.

    Raises:
        Refused: a captain while others remain, or the last member of a team that has entries: those would
            lose their owner, and the person's next team would get another day's quota.
    """
    with transaction.atomic():
        (row,) = locked(team)
        membership = require_member(row, user)
        if row.memberships.count() > 1:
            if membership.is_captain:
                raise Refused("TEAM_CAPTAIN_LEAVES")
            membership.delete()
            note(row, Kind.LEFT, user)
            return False
        if row.submissions.exists():
            raise Refused("TEAM_LAST_MEMBER")
        try:
            row.delete()
        except ProtectedError:  # it took over another team, or there was a ruling on it
            shut(row)
            membership.delete()
            note(row, Kind.LEFT, user)
            return False
        return True


def shut(team: Team) -> None:
    """Nobody can join the team any more, and its webhook gets no more messages."""
    Webhook.objects.filter(team=team).delete()
    end_invitations(team)
    withdraw_offers(team)


def end_invitations(team: Team) -> None:
    """Revoke the team's links."""
    Invitation.objects.filter(team=team, revoked__isnull=True).update(revoked=Now())


def withdraw_offers(team: Team) -> None:
    """Close the team's open merge offers, both sent and received."""
    for offers in (team.mergers_offered, team.mergers_received):
        offers.filter(status=Merger.Status.OPEN).update(
            status=Merger.Status.WITHDRAWN, decided=Now()
        )


def remove(team: Team, member: int, by: User) -> None:
    """Remove a member (user id), and end the links that the member may have kept.

    Raises:
        Refused: not the captain, oneself, not a member.
    """
    with transaction.atomic():
        (row,) = locked(team)
        require_captain(row, by)
        membership = _other(row, member)
        membership.delete()
        end_invitations(row)
        note(row, Kind.REMOVED, by, membership.user.get_username())


def hand_over(team: Team, member: int, by: User) -> None:
    """Make another member (user id) captain. Raises Refused: not the captain, not a member."""
    with transaction.atomic():
        (row,) = locked(team)
        require_captain(row, by)
        membership = _other(row, member)
        row.memberships.update(is_captain=False)
        row.memberships.filter(pk=membership.pk).update(is_captain=True)
        note(row, Kind.CAPTAIN, by, membership.user.get_username())


def _other(team: Team, member: int) -> Membership:
    found = team.memberships.select_related("user").filter(user_id=member, is_captain=False).first()
    if found is None:
        raise Refused("TEAM_NOT_MEMBER", status=404)
    return found


def named(write: Callable[[], T]) -> T:
    """Run a write whose name another request may have just taken."""
    try:
        with transaction.atomic():
            return write()
    except IntegrityError as error:
        if "team_name_once" in str(error):
            raise Refused("TEAM_NAME_TAKEN") from error
        raise
