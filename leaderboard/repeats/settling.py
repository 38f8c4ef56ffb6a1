"""Brings a contest's checkpoints up to date: safe to call from any process, any number of times."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from leaderboard import lifecycle
from leaderboard.core import doorbell
from leaderboard.models import BatchItem, Contest, Pool
from leaderboard.repeats import checkpoints, confirming, measurements

log = logging.getLogger(__name__)
_LOCK = 5_202  # lock class; the second key is a hash of the contest's id


def settle(contest: Contest) -> None:
    """Pool what was measured since, and measure the first places again. One process at a time, in order."""
    if not _is_pooled(contest):
        return
    with _alone(contest):
        contest = Contest.objects.in_force().get(pk=contest.pk)
        if contest.finalised_at is not None:
            return
        checkpoints.adopt(contest)
        failed: set[int] = set()
        _combine(contest, failed)
        while confirming.advance(contest):
            _combine(contest, failed)


def ring_due() -> None:
    """Ring for contests with something to do: a ring was lost, or a measurement ended without a score."""
    for contest in Contest.objects.in_force().filter(finalised_at=None):
        if not _is_pooled(contest):
            continue
        waiting = Pool.objects.filter(first__contest=contest, is_confirming=True)
        if waiting.exists() or checkpoints.newcomers(contest).exists():
            doorbell.enqueue_repeats(contest.pk)


def _is_pooled(contest: Contest) -> bool:
    return contest.rules.scoring.repeats == "pooled"


def _combine(contest: Contest, failed: set[int]) -> None:
    """Make the pool of the measurements that count the score, wherever it is not."""
    assert contest.version is not None
    pools = [pool for pool in measurements.repeated(contest) if pool.pk not in failed]
    runs = measurements.of_pools(contest, [pool.pk for pool in pools])
    # A batch that is being decided has noted what is current; it goes first.
    held = set(
        BatchItem.objects.filter(is_open=True, submission__in=[p.first_id for p in pools])
        .values_list("submission", flat=True)
    )  # fmt: skip
    for pool in pools:
        found = runs[pool.pk].counted(pool, contest.rules.scoring.confirm_measurements)
        numbers = [run.pk for run in found]
        is_own = not pool.counted and len(found) == 1 and found[0].is_current
        if not found or is_own or numbers == pool.counted or pool.first_id in held:
            continue
        try:
            lifecycle.combine(pool, found, contest.version)
        except ValueError as error:  # other questions, or a report without what the formula needs
            log.error("checkpoint %s: evaluations %s are not pooled: %s", pool, numbers, error)
            failed.add(pool.pk)


@contextmanager
def _alone(contest: Contest) -> Iterator[None]:
    """Wait for whoever does the same: what was recorded since it looked is this one's to find."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [_LOCK, contest.pk])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", [_LOCK, contest.pk])
