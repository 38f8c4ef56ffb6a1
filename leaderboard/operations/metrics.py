"""The ``/metrics`` page for Prometheus, computed from the database at each scrape, so any process can serve it.

Counters count append-only rows, so they never fall and survive restarts. Names and meanings are in
docs/operate.md; docker/monitoring has the dashboard and the alerts that use them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, Sum
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from leaderboard import workers
from leaderboard.models import AARun, Attempt, Evaluation, Submission
from leaderboard.operations import backlog

PREFIX = "paretoboard"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
OUTCOMES = ("scored", "rejected", "failed", "lost")

# Stages as the workers reported them, and the wait before the first, in the buckets of BUCKETS_S.
DURATIONS = """
SELECT stage, width_bucket(duration_s, %s::float8[]) AS bucket, count(*), sum(duration_s) FROM (
    SELECT s->>'stage' AS stage, (s->>'duration_s')::float8 AS duration_s
    FROM leaderboard_attempt, jsonb_array_elements(stages) AS s
    UNION ALL
    SELECT 'wait', greatest(0, extract(epoch FROM a.started - e.created))
    FROM leaderboard_attempt a JOIN leaderboard_evaluation e ON e.id = a.evaluation_id
    WHERE a.number = 1
) AS spent GROUP BY stage, bucket
"""


def exposition() -> bytes:
    """The whole page, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(Collector())
    return generate_latest(registry)


class Collector:
    """Every metric of the site."""

    def describe(self) -> Iterable[Metric]:
        """Nothing, because collecting at registration would run all queries once for no reader."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from _queues()
        yield from _grading()
        yield from _workers()
        yield from _uploads()


def _queues() -> Iterator[Metric]:
    size = GaugeMetricFamily(f"{PREFIX}_queue_size", "Items in this state now.", labels=["state"])
    age = GaugeMetricFamily(
        f"{PREFIX}_queue_oldest_age_seconds",
        "Age of the oldest item in this state, 0 if there is none.",
        labels=["state"],
    )
    for line in backlog.lines():
        size.add_metric([line.name], line.count)
        age.add_metric([line.name], line.age_s)
    yield size
    yield age


def _grading() -> Iterator[Metric]:
    evaluations = GaugeMetricFamily(
        f"{PREFIX}_evaluations", "Evaluations by status.", labels=["status"]
    )
    counts = dict(Evaluation.objects.values_list("status").annotate(n=Count("pk")))
    for status in Evaluation.Status.values:
        evaluations.add_metric([status], counts.get(status, 0))
    yield evaluations

    attempts = CounterMetricFamily(
        f"{PREFIX}_attempts", "Attempts that ended, by outcome.", labels=["outcome"]
    )
    ended = dict(
        Attempt.objects.filter(ended__isnull=False).values_list("outcome").annotate(n=Count("pk"))
    )
    for outcome in sorted({*OUTCOMES, *ended}):
        attempts.add_metric([outcome], ended.get(outcome, 0))
    yield attempts

    problems = CounterMetricFamily(
        f"{PREFIX}_attempt_problems", "Attempts that ended with this problem code.", labels=["code"]
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p->>'code', count(*) FROM leaderboard_attempt, "
            "jsonb_array_elements(problems) AS p GROUP BY 1"
        )
        for code, n in cursor.fetchall():
            problems.add_metric([code], n)
        yield problems
        cursor.execute(DURATIONS, [list(BUCKETS_S)])
        yield _histogram(cursor.fetchall())


def _histogram(rows: list[tuple[str, int, int, float]]) -> Metric:
    """``width_bucket`` counts values at or above a bound; Prometheus counts values up to it."""
    family = HistogramMetricFamily(
        f"{PREFIX}_stage_duration_seconds", "Time that a stage took.", labels=["stage"]
    )
    stages: dict[str, dict[int, tuple[int, float]]] = {}
    for stage, bucket, count, total in rows:
        stages.setdefault(stage, {})[bucket] = (count, total)
    for stage, found in sorted(stages.items()):
        buckets, below = [], 0
        for index, bound in enumerate(BUCKETS_S):
            below += found.get(index, (0, 0.0))[0]
            buckets.append((f"{float(bound):g}", float(below)))
        count = sum(n for n, _ in found.values())
        buckets.append(("+Inf", float(count)))
        family.add_metric([stage], buckets, sum_value=sum(total for _, total in found.values()))
    return family


def _workers() -> Iterator[Metric]:
    views = workers.overview(charted=1)
    states = GaugeMetricFamily(f"{PREFIX}_workers", "Workers by state.", labels=["state"])
    for state in workers.State:
        if state != workers.State.RETIRED:
            states.add_metric([state.value], sum(view.state == state for view in views))
    yield states

    def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"{PREFIX}_worker_{name}", text, labels=["worker", *labels])

    silence = gauge("silence_seconds", "Time since the worker was last heard of.")
    busy = gauge("busy_ratio", "Share of the last 24 hours spent on attempts and tests.")
    ratio = gauge("aa_ratio", "Ratio of the latest A/A test.", "contest", "shape")
    base = gauge(
        "aa_base_seconds", "Base model's round in the latest A/A test.", "contest", "shape"
    )
    passed = gauge("aa_passed", "Whether the latest A/A test passed.", "contest")
    now = timezone.now()
    for view in views:
        if view.worker.last_seen:
            seconds = (now - view.worker.last_seen).total_seconds()
            silence.add_metric([view.worker.name], max(0.0, seconds))
        busy.add_metric([view.worker.name], view.busy_share)
    latest = (
        AARun.objects.filter(status__in=("passed", "failed"), worker__revoked__isnull=True)
        .order_by("worker", "contest", "-pk")
        .distinct("worker", "contest")
        .select_related("worker")
        .defer("report", "log")
    )
    for run in latest:
        labels = [run.worker.name, run.contest_id]
        passed.add_metric(labels, float(run.passed))
        for outcome in run.outcomes:
            ratio.add_metric([*labels, outcome["shape"]], outcome["ratio"])
            base.add_metric([*labels, outcome["shape"]], outcome["base_s"])
    yield from (silence, busy, ratio, base, passed)


def _uploads() -> Iterator[Metric]:
    entered = CounterMetricFamily(
        f"{PREFIX}_submissions", "Submissions that were taken in, by kind.", labels=["kind"]
    )
    size = CounterMetricFamily(
        f"{PREFIX}_upload_bytes", "Bytes of the archives that were taken in.", labels=["kind"]
    )
    rows: Any = Submission.objects.values_list("kind").annotate(
        n=Count("pk"), size=Sum("archive_bytes")
    )
    found = {kind: (n, total) for kind, n, total in rows}
    for kind in Submission.Kind.values:
        n, total = found.get(kind, (0, 0))
        entered.add_metric([kind], n)
        size.add_metric([kind], total)
    yield entered
    yield size
    free = shutil.disk_usage(settings.HOME).free
    yield GaugeMetricFamily(
        f"{PREFIX}_disk_free_bytes", "Free space under PARETOBOARD_HOME.", value=free
    )
    yield GaugeMetricFamily(
        f"{PREFIX}_disk_reserve_bytes",
        "Free space that uploads leave untouched.",
        value=settings.DISK_RESERVE_BYTES,
    )
