"""What a reader of the board should know about its state: frozen, ending, about to change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.utils import timezone

from leaderboard.contests import phases
from leaderboard.models import Batch, Contest

ENDS_SOON = timedelta(hours=24)
Kind = Literal["frozen", "ends", "rules", "rescore", "regrade", "ready"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to know; ``at``: since when, or until when."""

    kind: Kind
    at: datetime | None = None


def of(contest: Contest) -> list[Notice]:
    """What holds now, the most important first; nothing once the result is public."""
    if phases.is_revealed(contest):
        return []
    found: list[Notice] = []
    if since := phases.frozen_since(contest):
        found.append(Notice("frozen", since))
    now = timezone.now()
    phase = phases.accepts(contest)
    if phase and now <= phase.end <= now + ENDS_SOON:
        found.append(Notice("ends", phase.end))
    batch = (
        contest.batches.filter(status__in=(Batch.Status.RUNNING, Batch.Status.READY))
        .values_list("kind", "status")
        .first()
    )
    if batch:
        kind, status = batch
        running: Kind = "rescore" if kind == Batch.Kind.RESCORE else "regrade"
        found.append(Notice("ready" if status == Batch.Status.READY else running))
    elif contest.pending_id is not None:
        found.append(Notice("rules"))
    return found
