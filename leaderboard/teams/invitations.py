"""Invitation links.

The link is the invitation's number, signed with the site's key: the database holds no secret, the link can be
copied again later, and it is revoked by setting a column.
"""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from leaderboard.core.errors import Refused
from leaderboard.models import Invitation, Team, TeamEvent
from leaderboard.teams.members import join
from leaderboard.teams.rules import locked, note, require_captain

LIFETIME = timedelta(days=14)
MAX_OPEN = 5  # valid links per team
signer = Signer(salt="team invitation", sep=".")


def invite(team: Team, by: User) -> Invitation:
    """A new link, valid for 14 days or until the team is full. Raises Refused: not the captain, too many."""
    with transaction.atomic():
        (row,) = locked(team)
        require_captain(row, by)
        if still_open(row).count() >= MAX_OPEN:
            raise Refused("TEAM_INVITATIONS")
        return Invitation.objects.create(team=row, by=by, expires=timezone.now() + LIFETIME)


def still_open(team: Team) -> QuerySet[Invitation]:
    """The team's valid links, newest first."""
    return team.invitations.filter(revoked__isnull=True, expires__gt=Now()).order_by("-pk")


def address(invitation: Invitation) -> str:
    """The path of the link."""
    return reverse("join", args=[signer.sign(str(invitation.pk))])


def opened(token: str) -> Invitation:
    """The invitation behind a link.

    Raises:
        Refused: not a link of ours, revoked, expired, or its team is gone.
    """
    try:
        pk = int(signer.unsign(token))
    except (BadSignature, ValueError):
        raise Refused("TEAM_INVITATION") from None
    found = (
        Invitation.objects.select_related("team__contest__version")
        .filter(pk=pk, revoked__isnull=True, expires__gt=Now(), team__merged_into__isnull=True)
        .first()
    )
    if found is None:
        raise Refused("TEAM_INVITATION")
    return found


def accept(token: str, user: User) -> Team:
    """Join by a link; nothing happens if the person is already a member.

    Raises:
        Refused: the link does not work (any more), the team is full, the person is in another team.
    """
    team = opened(token).team
    with transaction.atomic():
        (row,) = locked(team)
        opened(token)  # not revoked while we waited for the lock
        if row.memberships.filter(user=user).exists():
            return row
        size = row.contest.rules.limits.team_size
        if row.memberships.count() >= size:
            raise Refused("TEAM_FULL", f"{size}/{size}")
        join(row, user)
        note(row, TeamEvent.Kind.JOINED, user)
    return row


def revoke(team: Team, pk: int, by: User) -> None:
    """Revoke the link. Raises Refused: not the captain, no such link."""
    with transaction.atomic():
        (row,) = locked(team)
        require_captain(row, by)
        if not still_open(row).filter(pk=pk).update(revoked=Now()):
            raise Refused("TEAM_INVITATION")
