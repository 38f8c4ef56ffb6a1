"""Disqualifying and hiding teams or entries, and lifting that. Nothing is deleted; the team is notified."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from leaderboard import lifecycle, notifications
from leaderboard.contests import phases
from leaderboard.core import audit
from leaderboard.core.errors import Refused
from leaderboard.models import Delivery, Ruling, Submission, Team

LIFTED = "lifted"


def impose(ruling: Ruling, *, by: User) -> Ruling:
    """Bring an unsaved ruling into force.

    Raises:
        Refused: RULING_REASON, RULING_ALREADY (the same is in force), CONTEST_FINAL. Nothing was changed.
    """
    if not ruling.reason.strip():
        raise Refused("RULING_REASON")
    with transaction.atomic():
        lifecycle.board_moves(ruling.contest_id)
        phases.refuse_final(ruling.contest)
        ruling.reason, ruling.by = ruling.reason.strip(), str(by)[:150]
        try:
            with transaction.atomic():
                Ruling.objects.bulk_create([ruling])
        except IntegrityError as error:
            if "one_ruling_of_a_kind" in str(error):
                raise Refused("RULING_ALREADY") from error
            raise
        about = {"team": ruling.team_id, "submission": ruling.submission_id}
        audit.record(
            by, f"ruling.{ruling.kind}", ruling, contest=ruling.contest_id, after=about,
            reason=ruling.reason,
        )  # fmt: skip
        _tell(ruling, ruling.kind, ruling.reason)
    return ruling


def lift(ruling: Ruling, *, by: User, reason: str = "") -> bool:
    """End a ruling; False if it was already lifted.

    Raises:
        Refused: CONTEST_FINAL.
    """
    with transaction.atomic():
        lifecycle.board_moves(ruling.contest_id)
        phases.refuse_final(ruling.contest)
        in_force = Ruling.objects.in_force().filter(pk=ruling.pk)
        if not in_force.update(lifted=Now(), lifted_by=str(by)[:150], lifted_reason=reason.strip()):
            return False
        audit.record(
            by, "ruling.lift", ruling, contest=ruling.contest_id, before={"kind": ruling.kind},
            reason=reason.strip() or ruling.reason,
        )  # fmt: skip
        _tell(ruling, LIFTED, reason.strip())
    return True


def find_fine(entry: Submission, *, by: User, reason: str = "") -> bool:
    """Staff have looked at an entry and found nothing: it counts without a mark. False if nothing was marked.

    Raises:
        Refused: CONTEST_FINAL.
    """
    with transaction.atomic():
        lifecycle.board_moves(entry.contest_id)
        phases.refuse_final(entry.contest)
        current = entry.evaluations.current().get()
        if not lifecycle.looked_at(current):
            return False
        audit.record(
            by, "entry.reviewed", entry, contest=entry.contest_id,
            after={"evaluation": current.pk, "flags": current.flags}, reason=reason.strip(),
        )  # fmt: skip
    return True


def in_force(team: Team) -> QuerySet[Ruling]:
    """Rulings in force on a team or any of its entries, latest first."""
    about = Q(team=team) | Q(submission__team=team)
    return Ruling.objects.in_force().filter(about).order_by("-pk")


def of_entry(entry: Submission) -> QuerySet[Ruling]:
    """Rulings in force on an entry, directly or through its team."""
    about = Q(submission=entry) | Q(team=entry.team_id, team__isnull=False)
    return Ruling.objects.in_force().filter(about).order_by("-pk")


def _tell(ruling: Ruling, what: str, reason: str) -> None:
    """Notify every member, regardless of settings."""
    entry = ruling.submission
    team = ruling.team or (entry.team if entry else None)
    if team is None:
        return
    notifications.tell_everybody(
        team,
        Delivery.Kind.RULING,
        key=f"ruling/{ruling.pk}/{what}",
        evaluation=entry.evaluations.current().get() if entry else None,
        ruling=what,
        reason=reason,
    )
