"""The first places: which checkpoints are measured again, until enough measurements confirm them."""

from __future__ import annotations

from django.core.files.storage import default_storage
from django.db import transaction

from grader.scoring import repeats
from leaderboard import lifecycle
from leaderboard.board import ranking
from leaderboard.models import Contest, Pool
from leaderboard.repeats import measurements
from leaderboard.repeats.measurements import Measurements


def advance(contest: Contest) -> bool:
    """Queue what is missing; True if another measurement counts from now on, so that the board may change."""
    found = {pool.pk: pool for pool in _of_first_places(contest)}
    found |= {pool.pk: pool for pool in _under_way(contest)}
    runs = measurements.of_pools(contest, found)
    changed = False
    for pool in found.values():
        changed |= _advance(contest, pool, runs.get(pool.pk) or Measurements())
    return changed


def _of_first_places(contest: Contest) -> list[Pool]:
    places = contest.rules.scoring.confirm
    if not places:
        return []
    first = [entry.submission_id for entry in ranking.board(contest).ranked[:places]]
    return list(Pool.objects.filter(first__in=first).select_related("first"))


def _under_way(contest: Contest) -> list[Pool]:
    rows = Pool.objects.filter(first__contest=contest, is_confirming=True)
    return list(rows.select_related("first"))


def _advance(contest: Contest, pool: Pool, runs: Measurements) -> bool:
    assert contest.version is not None
    most = contest.rules.scoring.confirm_measurements
    with transaction.atomic():
        begins = pool.won_id is None
        if begins:
            if not runs.own or not _is_kept(pool):
                return False
            lifecycle.board_moves(contest.pk)
            counted = runs.counted(pool, most)
            Pool.objects.filter(pk=pool.pk, won=None).update(won=counted[-1])
            pool.refresh_from_db()
        counted = runs.counted(pool, most)
        more = repeats.missing(len(counted), runs.under_way, runs.given_up, most)
        for _ in range(more):
            lifecycle.measure_to_confirm(pool, contest.version)
        is_confirming = bool(more or runs.under_way)
        if is_confirming != pool.is_confirming:
            lifecycle.board_moves(contest.pk)
            Pool.objects.filter(pk=pool.pk).update(is_confirming=is_confirming)
    return begins and bool(counted)


def _is_kept(pool: Pool) -> bool:
    return bool(pool.first.hub) or default_storage.exists(pool.first.archive)
