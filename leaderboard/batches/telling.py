"""Notifying teams about a batch: one message per team, about its best entry that changed."""

from __future__ import annotations

from django.db.models import F, Q

from leaderboard import notifications
from leaderboard.models import (
    Batch,
    BatchItem,
    Delivery,
    Evaluation,
    Score,
    Submission,
    Team,
    public_figures,
)


def applied(batch: Batch) -> None:
    """Notify every team whose scores changed, in the transaction that applies the batch."""
    _tell(batch, came="new", went="old", reason=batch.reason)


def undone(batch: Batch) -> None:
    """Notify the same teams that their scores are back to what they were."""
    _tell(batch, came="old", went="new", reason=f"undone: {batch.reason}")


def _tell(batch: Batch, *, came: str, went: str, reason: str) -> None:
    same = Q(new=F("old")) & (
        Q(new_score=F("old_score")) | Q(new_score__value=F("old_score__value"))
    )
    changed = (
        BatchItem.objects.filter(batch=batch, new__isnull=False)
        .exclude(same)
        .filter(submission__kind=Submission.Kind.TEAM)
        .order_by("submission__team", F(f"{came}_score__value").desc(nulls_last=True))
        .distinct("submission__team")
        .values_list("submission__team", came, f"{went}_score")
    )
    teams = Team.objects.in_bulk([team for team, _, _ in changed])
    evaluations = (
        Evaluation.objects.select_related("submission", "score")
        .defer("score__replicates", "score__private_replicates")
        .in_bulk([evaluation for _, evaluation, _ in changed])
    )
    earlier = Score.objects.defer("replicates", "private_replicates").in_bulk(
        [score for _, _, score in changed if score]
    )
    news = [
        notifications.News(
            teams[team],
            f"batch/{batch.pk}/{came}/{evaluation}",
            evaluations[evaluation],
            {
                "before": public_figures(earlier[before], batch.contest).value if before else None,
                "reason": reason,
            },
        )
        for team, evaluation, before in changed
    ]
    notifications.tell_teams(Delivery.Kind.RESCORED, news)
