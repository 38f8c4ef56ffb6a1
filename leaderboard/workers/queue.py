"""How busy the graders are, and how long an entry will wait."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from django.db.models import Count, Q

from leaderboard.models import Contest, Evaluation, Worker
from leaderboard.workers import eligibility

RECENT = 30  # number of grades that the usual duration is computed from


@dataclass(frozen=True, slots=True)
class Queue:
    """How busy the graders are.

    Attributes:
        waiting, running: evaluations of the contest.
        workers: active graders that may grade the contest and accept new work.
        grade_s: median duration of the latest grades; None before the first.
    """

    waiting: int
    running: int
    workers: int
    grade_s: float | None

    def wait_s(self, position: int) -> float | None:
        """Expected seconds until the evaluation at ``position`` (1: next) starts; None if unknown.

        Running grades are assumed to be halfway done on average.
        """
        if not self.workers or self.grade_s is None:
            return None
        busy = min(self.running, self.workers)
        rounds_before = (position - 1 + busy) / self.workers
        return self.grade_s * max(0.0, rounds_before - 0.5 * busy / self.workers)

    @property
    def next_wait_s(self) -> float | None:
        """For an entry submitted now."""
        return self.wait_s(self.waiting + 1)


def queue(contest: Contest) -> Queue:
    status = Evaluation.Status
    now = Evaluation.objects.current().unfinished().filter(version__contest=contest)
    counts = now.aggregate(
        waiting=Count("pk", filter=Q(status=status.QUEUED)),
        running=Count("pk", filter=Q(status=status.RUNNING)),
    )
    grades = Evaluation.objects.filter(
        version__contest=contest, status=status.SCORED, started__isnull=False
    ).order_by("-pk")
    times = grades.values_list("started", "finished")[:RECENT]
    durations = [(end - start).total_seconds() for start, end in times if start and end]
    version = contest.version
    at_work = Worker.objects.alive().accepting()
    return Queue(
        waiting=counts["waiting"],
        running=counts["running"],
        workers=len(eligibility.able(at_work, version)) if version else 0,
        grade_s=statistics.median(durations) if durations else None,
    )
