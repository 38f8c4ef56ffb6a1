"""Manual decisions about a board: freeze, thaw, reveal. Dates in the contest file do the same."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from leaderboard import lifecycle
from leaderboard.contests import phases
from leaderboard.core import audit, doorbell
from leaderboard.models import Contest

STAMPS = {"freeze": "frozen_at", "thaw": "thawed_at", "reveal": "revealed_at"}


def direct(contest: Contest, verb: str, *, by: User, reason: str = "") -> bool:
    """Set one of ``STAMPS`` to the database's current time, and audit it.

    Returns:
        False if it was already set; nothing was changed. Freezing a frozen board again would move the moment of
        the freeze, and so publish what was entered since.

    Raises:
        Refused: CONTEST_FINAL: a final board can be thawed and revealed, but not frozen.
    """
    field = STAMPS[verb]
    with transaction.atomic():
        lifecycle.board_moves(contest.pk)
        if verb == "freeze":
            phases.refuse_final(contest)
        row = Contest.objects.select_related("version").get(pk=contest.pk)
        if _is_so(row, verb):
            return False
        before = {field: getattr(row, field)}
        Contest.objects.filter(pk=row.pk).update(**{field: Now()})
        row.refresh_from_db()
        if verb == "thaw" and row.rules.scoring.repeats == "pooled":  # what waited for it
            transaction.on_commit(lambda: doorbell.enqueue_repeats(row.pk))
        audit.record(
            by, f"contest.{verb}", row, contest=row.slug, before=before,
            after={field: getattr(row, field)}, reason=reason.strip(),
        )  # fmt: skip
    return True


def _is_so(contest: Contest, verb: str) -> bool:
    """Whether the board is already in the state that the verb would set, by hand or by a date in the file."""
    if verb == "reveal":
        return phases.is_revealed(contest)
    return (phases.frozen_since(contest) is not None) == (verb == "freeze")
