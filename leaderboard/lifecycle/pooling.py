"""Where repeats are pooled: an entry's score becomes that of several measurements of its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from grader.problems.catalogue import Stage
from leaderboard.core import doorbell
from leaderboard.lifecycle.board import board_moves
from leaderboard.lifecycle.guard import Code, Status, note
from leaderboard.lifecycle.regrading import pooled, pooled_report
from leaderboard.lifecycle.scoring import score_fields
from leaderboard.models import ContestVersion, Evaluation, Pool


def join_pool(evaluation: Evaluation, pool: Pool) -> None:
    """Its measurement belongs to this checkpoint; only the first entry's evaluations stand on the board."""
    Evaluation.objects.filter(pk=evaluation.pk, status=Status.SCORED).update(
        pool=pool, is_repeat=evaluation.submission_id != pool.first_id
    )


def measure_to_confirm(pool: Pool, version: ContestVersion) -> Evaluation:
    """Queue one more measurement of a checkpoint, which uses no quota; it counts in the pool alone."""
    current = Evaluation.objects.current().get(submission=pool.first_id)
    with transaction.atomic():
        new = Evaluation.objects.create(
            submission_id=pool.first_id,
            version=version,
            stage=Stage.WAIT,
            is_checked=True,
            facts=current.facts,
            is_current=False,
            pool=pool,
            to_confirm=True,
        )
        note(new.pk, "", Status.QUEUED, "system", Code.CONFIRM)
        transaction.on_commit(doorbell.ring_workers)
    return new


def combine(pool: Pool, runs: Sequence[Evaluation], version: ContestVersion) -> bool:
    """Make the pool of these measurements the score of the checkpoint's first entry.

    False if that entry's current evaluation, or the pool, changed meanwhile: it is looked at again.

    Raises:
        ValueError: the measurements are of different questions or load shapes.
        ScoreError: a report lacks what the formula needs.
    """
    before = Evaluation.objects.current().get(submission=pool.first_id)
    report = pooled_report(runs)
    fields = score_fields(report, version)
    numbers = [run.pk for run in runs]
    with transaction.atomic():
        board_moves(version.contest_id)
        held = Evaluation.objects.select_for_update(of=("self",)).filter(pk=before.pk)
        if not held.filter(is_current=True, score=before.score_id).exists():
            return False
        if not Pool.objects.filter(pk=pool.pk, counted=pool.counted).update(counted=numbers):
            return False
        new = pooled(report, fields, like=before, version=version, numbers=numbers)
        held.update(is_current=False)
        Evaluation.objects.filter(pk=new.pk).update(
            is_current=True, pool=pool, **_under_review(before, runs)
        )
    return True


def _under_review(before: Evaluation, runs: Sequence[Evaluation]) -> dict[str, Any]:
    """What staff have yet to look at stays so, and a flag that they have not seen is looked at again."""
    unseen = [run for run in runs if set(run.flags) - set(before.flags)]
    until = [before.review_until, *(run.review_until for run in unseen)]
    return {
        "flags": sorted(set(before.flags).union(*(run.flags for run in runs))),
        "site_checks": before.site_checks,
        "review_until": max((moment for moment in until if moment), default=None),
    }
