"""Keeps work from getting stuck: lost leases go back to the queue and bells are rung again.

Run by the site worker's companion (``manage.py sweep --every 15``), which needs no broker, and by beat.
Starting several is safe: one sweeps at a time. Workers also return lost work when they claim, so a site without
a sweeper is slow but not stuck. A failing step does not stop the others; the round still ends as failed, so
that task monitoring sees it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.core.cache import cache
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

from grader.problems.catalogue import Problem
from leaderboard import lifecycle, notifications, repeats, uploads, workers
from leaderboard.celery import app
from leaderboard.core import doorbell
from leaderboard.core.doorbell import Ring
from leaderboard.core.each import each
from leaderboard.models import Batch, Contest, Evaluation
from leaderboard.organisers import closing
from leaderboard.storage import scratch
from leaderboard.submissions import dry_run

MAX_CHECKS = 5
SWEPT = "swept"  # cache key
log = logging.getLogger(__name__)

LOCK = 0x5057EE9  # any number that nothing else in this database uses
WORK_LOCK = LOCK + 1
WORK_S = 60.0


def sweep() -> bool:
    """Sweep once; False if another sweeper is running.

    Raises:
        ExceptionGroup: all errors, after the remaining steps were done.
    """
    _note()
    with _alone(LOCK) as alone:
        if alone:
            _sweep()
    return alone


def sweep_and_work() -> None:
    """Sweep, and do what could not be rung for because the broker is down.

    Work of a broker that answers is the site worker's. What is not begun within ``WORK_S`` is found by the next
    round, so that sweeping goes on meanwhile.

    Raises:
        ExceptionGroup: all errors, after the rest was done.
    """
    with doorbell.keep_unheard() as unheard:
        steps: tuple[Callable[[], object], ...] = (sweep, lambda: _work(unheard))
        each(steps, lambda step: step())


def _work(unheard: list[Ring]) -> None:
    if not unheard:
        return
    until = time.monotonic() + WORK_S
    with _alone(WORK_LOCK) as alone:
        due = [ring for ring in dict.fromkeys(unheard) if alone]
        due.sort(key=lambda ring: ring.queue == doorbell.CHECK_QUEUE)  # what takes long goes last
        each(due, lambda ring: _do(ring) if time.monotonic() < until else None)


def _do(ring: Ring) -> None:
    log.info("the broker is away: %s%s is done here", ring.task, ring.args)
    task: Callable[..., object] = app.tasks[ring.task]
    task(*ring.args)


@contextmanager
def _alone(lock: int) -> Iterator[bool]:
    """Whether no other session holds this lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        alone = bool(cursor.fetchone()[0])
        try:
            yield alone
        finally:
            if alone:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])


def last_swept() -> datetime | None:
    """When a sweep last began, according to Valkey.

    Raises:
        RedisError: it does not answer.
    """
    found: datetime | None = cache.get(SWEPT)
    return found


def _note() -> None:
    try:
        cache.set(SWEPT, timezone.now(), timeout=None)
    except RedisError as error:
        log.warning("could not note that a sweep begins: %s", error)


def _sweep() -> None:
    steps = (
        lifecycle.return_lost_work,
        workers.return_lost_tests,
        lifecycle.put_back_recovered,
        _ring_due,
        uploads.finish_stranded,
        uploads.remove_expired,
        scratch.remove_abandoned,
        lifecycle.forget_held,
        lifecycle.pack_old_reports,
        lifecycle.end_reviews,
        dry_run.ring_waiting,
        dry_run.forget_old,
        notifications.forget_old,
        _ring_batches,
        repeats.ring_due,
        _ring_seals,
    )
    each(steps, lambda step: step())


def _ring_due() -> None:
    due = Evaluation.objects.filter(status=Evaluation.Status.QUEUED, not_before__lte=Now())
    for pk, tries in due.filter(is_checked=False).values_list("pk", "check_attempts"):
        if tries >= MAX_CHECKS:
            lifecycle.give_up_check(pk, Problem("SYS_CHECK_CRASHED", detail=str(tries)))
        else:
            doorbell.enqueue_check(pk)
    if due.filter(is_checked=True).exists():
        doorbell.ring_workers()
    if notifications.are_due():
        doorbell.enqueue_delivery()


def _ring_batches() -> None:
    for pk in Batch.objects.filter(status=Batch.Status.RUNNING).values_list("pk", flat=True):
        doorbell.enqueue_batch(pk)


def _ring_seals() -> None:
    for contest in Contest.objects.filter(finalised_at__isnull=False):
        if closing.is_unsealed(contest):
            doorbell.enqueue_seal(contest.pk)
