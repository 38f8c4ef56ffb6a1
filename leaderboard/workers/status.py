"""The state of every worker, in a fixed number of queries, for desk, commands, doctor and metrics."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from leaderboard.models import AARun, Attempt, Contest, Evaluation, Worker
from leaderboard.workers import eligibility

DAY = timedelta(days=1)
CHARTED = 60  # A/A tests drawn per worker on a page


class State(enum.StrEnum):
    """Derived from the row and the clock, never stored."""

    IDLE = "idle"
    BUSY = "busy"
    DRAINING = "draining"
    DRAINED = "drained"
    LOST = "lost"
    RETIRED = "retired"

    @property
    def label(self) -> Promise:
        return LABELS[self]


LABELS = {
    State.IDLE: _("idle"),
    State.BUSY: _("busy"),
    State.DRAINING: _("draining"),
    State.DRAINED: _("drained"),
    State.LOST: _("lost"),
    State.RETIRED: _("retired"),
}


@dataclass(slots=True)
class View:
    """One worker's current state.

    Attributes:
        evaluation: what it is grading.
        test: the A/A test it is running.
        busy_share: of the last 24 hours spent on attempts and tests, 0 to 1.
        tests: its latest A/A tests, newest first.
        reasons: contest → why it gets no work from that contest.
    """

    worker: Worker
    state: State
    evaluation: Evaluation | None = None
    test: AARun | None = None
    busy_share: float = 0.0
    tests: list[AARun] = field(default_factory=list)
    reasons: dict[str, list[str]] = field(default_factory=dict)

    @property
    def latest_test(self) -> AARun | None:
        """The latest finished test."""
        return next((t for t in self.tests if t.status in ("passed", "failed")), None)

    @property
    def progress(self) -> dict[str, Any]:
        """``grader.protocol.documents.Progress`` of the current job."""
        running = self.evaluation or self.test
        return running.progress if running else {}


def overview(*, retired: bool = False, charted: int = CHARTED) -> list[View]:
    """Every worker by name; retired ones only on request."""
    rows = Worker.objects.order_by("name", "pk")
    found = list(rows if retired else rows.registered())
    grading = _grading(found)
    tests = _tests(found, charted)
    busy = _busy_seconds(found)
    contests = list(Contest.objects.listed())
    now = timezone.now()
    views = []
    for worker in found:
        own = tests[worker.pk]
        running = next((t for t in own if t.status == AARun.Status.RUNNING), None)
        evaluation = grading.get(worker.pk)
        views.append(
            View(
                worker=worker,
                state=state_of(worker, bool(evaluation or running), now),
                evaluation=evaluation,
                test=running,
                busy_share=min(1.0, busy[worker.pk] / DAY.total_seconds()),
                tests=own,
                reasons={
                    contest.slug: reasons
                    for contest in contests
                    if worker.last_seen and contest.version
                    and (reasons := eligibility.why_not(worker, contest.version))
                },
            )
        )  # fmt: skip
    return views


def state_of(worker: Worker, is_busy: bool, now: datetime) -> State:
    """Retired, lost, draining, drained, busy, idle: the first that applies."""
    if worker.revoked is not None:
        return State.RETIRED
    if worker.is_lost(now):
        return State.LOST
    if worker.drained is not None:
        return State.DRAINING if is_busy else State.DRAINED
    return State.BUSY if is_busy else State.IDLE


def _grading(workers: list[Worker]) -> dict[int, Evaluation]:
    running = Evaluation.objects.filter(worker__in=workers, status=Evaluation.Status.RUNNING)
    return {row.worker_id: row for row in running.defer("facts") if row.worker_id}


def _tests(workers: list[Worker], charted: int) -> dict[int, list[AARun]]:
    """The latest tests of each worker, newest first, in one query."""
    found: dict[int, list[AARun]] = defaultdict(list)
    rows = AARun.objects.filter(worker__in=workers, created__gte=timezone.now() - 30 * DAY)
    for row in rows.defer("report", "log").order_by("-pk"):
        if len(found[row.worker_id]) < charted:
            found[row.worker_id].append(row)
    return found


def _busy_seconds(workers: list[Worker]) -> dict[int, float]:
    """Seconds of the last day that each worker spent on attempts and tests."""
    totals: dict[int, float] = defaultdict(float)
    begin = Now() - DAY
    attempts = Attempt.objects.filter(worker__in=workers).filter(
        Q(ended__isnull=True, evaluation__status=Evaluation.Status.RUNNING) | Q(ended__gte=begin)
    )
    ends = Coalesce("ended", Now())
    rows = attempts.values("worker").annotate(t=Sum(ends - Greatest("started", begin)))
    for worker, spent in rows.values_list("worker", "t"):
        totals[worker] += spent.total_seconds()
    tests = AARun.objects.filter(worker__in=workers, finished__gte=begin, started__isnull=False)
    spans = tests.values("worker").annotate(t=Sum(F("finished") - Greatest("started", begin)))
    for worker, spent in spans.values_list("worker", "t"):
        totals[worker] += spent.total_seconds()
    return totals
