"""Finalizing a contest. The migration ``final_is_final`` defines which writes the database then refuses."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models.functions import Now

from leaderboard import lifecycle
from leaderboard.core import audit, doorbell
from leaderboard.core.errors import Refused
from leaderboard.models import Batch, Contest, Evaluation, FinalChoice, Ruling, Submission
from leaderboard.organisers.closing.obstacles import obstacles

# Transactions about to write to these are waited for; later ones find the contest final.
_GUARDED = (Submission, Evaluation, Ruling, FinalChoice, Batch)


def finalise(contest: Contest, *, by: object, reason: str) -> Contest:
    """Make the board immutable, forever; the sealing of its evidence is queued on commit.

    Raises:
        Refused: no reason, or the first of :func:`obstacles`. Nothing was changed.
    """
    if not reason.strip():
        raise Refused("CLOSING_REASON")
    with transaction.atomic():
        lifecycle.board_moves(contest.pk)
        with connection.cursor() as cursor:
            names = ", ".join(model._meta.db_table for model in _GUARDED)
            cursor.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
        row = Contest.objects.select_related("version", "pending").get(pk=contest.pk)
        for obstacle in obstacles(row):
            raise obstacle
        lifecycle.end_all_reviews(row)
        Contest.objects.filter(pk=row.pk).update(finalised_at=Now(), is_open=False)
        row.refresh_from_db()
        audit.record(
            by, "contest.finalise", row, contest=row.slug,
            before={"finalised_at": None},
            after={"finalised_at": row.finalised_at, "version": str(row.version)},
            reason=reason.strip(),
        )  # fmt: skip
        transaction.on_commit(lambda: doorbell.enqueue_seal(row.slug))
    return row
