"""A team's checkpoint and all its measurements, where repeats are pooled; ``leaderboard.repeats`` writes it."""

from __future__ import annotations

from django.db import models

from leaderboard.models.base import Created
from leaderboard.models.evaluation import Evaluation
from leaderboard.models.submission import Submission


class Pool(Created):
    """One checkpoint of one team, in all its entries.

    ``first`` stands on the board for all of them. Its measurements are the evaluations that name this pool.

    Attributes:
        content_sha256: of the first entry.
        counted: evaluations whose measurements make the score in force; empty while that is one entry's own.
        won: the measurement that brought it to a place that is confirmed; it does not count.
        is_confirming: more measurements are on their way.
    """

    first = models.OneToOneField(Submission, models.PROTECT, related_name="pool")
    content_sha256 = models.CharField(max_length=64, db_index=True)
    counted = models.JSONField(default=list)
    won = models.OneToOneField(Evaluation, models.PROTECT, null=True, related_name="won_a_place_of")
    is_confirming = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], name="pools_being_confirmed", condition=models.Q(is_confirming=True)
            )
        ]

    def __str__(self) -> str:
        return f"#{self.first_id}"
