"""The formula over thousands of stored reports: read in pieces, written in pieces, memory stays flat.

Where only the weights of the terms change, the stored replicates of the terms are enough (``Draws``) and no
report is read; where the terms themselves change (a question left out, a benchmark's weight), each report is.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from grader.scoring import inputs
from grader.scoring.score import ScoreError
from leaderboard import lifecycle
from leaderboard.batches import copying
from leaderboard.models import Batch, BatchItem, Draws, Result, Score

CHUNK = 500


def run(batch: Batch) -> bool:
    """Compute what is not computed yet; each piece is kept as soon as it is done. True: nothing to wait for."""
    todo = (
        BatchItem.objects.filter(batch=batch, new__isnull=True, note="")
        .select_related("old_score", "submission")
        .defer("old_score__replicates", "old_score__private_replicates")
        .order_by("pk")
    )
    while items := list(todo[:CHUNK]):
        with transaction.atomic():
            _compute(batch, items)
    return True


def again(batch: Batch) -> int:
    """Let every item without an outcome be computed once more; returns how many items."""
    return batch.items.filter(new__isnull=True).exclude(note="").update(note="")


def _compute(batch: Batch, items: list[BatchItem]) -> None:
    quick, draws = _reweighable(batch, items)
    scores = [item.old_score for item in quick if item.old_score]
    found = dict(zip(quick, lifecycle.reweighed(scores, draws, batch.version), strict=True))
    slow = [item for item in items if item not in found]
    reports = Result.objects.in_bulk([item.old_id for item in slow])
    failed = []
    kept: dict[int, dict[str, Any]] = {}
    for item in slow:
        try:
            measured = inputs.of_document(reports[item.old_id].report)
            found[item], kept[item.old_id] = lifecycle.computed(measured, batch.version)
        except (KeyError, ScoreError) as error:
            item.note = str(error)[:200] or "no report"
            failed.append(item)
    lifecycle.keep_many_draws(kept)
    BatchItem.objects.bulk_update(failed, ["note"])
    _keep(batch, found)


def _reweighable(batch: Batch, items: list[BatchItem]) -> tuple[list[BatchItem], dict[int, Draws]]:
    """Items whose score is made of the terms that the new rules ask for, with the replicates of those."""
    terms = batch.version.rules.terms_sha256
    if batch.old_version.rules.terms_sha256 != terms:
        return [], {}
    of_these = Draws.objects.filter(terms_sha256=terms)
    draws = of_these.in_bulk([item.old_id for item in items])
    quick = [
        item
        for item in items
        if item.old_id in draws
        and item.old_score
        and item.old_score.version_id == batch.old_version_id
    ]
    return quick, draws


def _keep(batch: Batch, found: dict[BatchItem, dict[str, Any]]) -> None:
    """Append the scores that differ and let the items name what would count."""
    made: dict[BatchItem, Score] = {}
    chosen: list[tuple[int, int | None]] = []
    for item, fields in found.items():
        if lifecycle.is_same(item.old_score, fields, batch.version):
            chosen.append((item.pk, item.old_score_id))
            continue
        team, why = item.submission.team_id, {"by": batch.by, "reason": batch.reason}
        made[item] = lifecycle.score_row(item.old_id, team, batch.version, fields, **why)
    copying.append(list(made.values()))
    chosen += [(item.pk, score.pk) for item, score in made.items()]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE {BatchItem._meta.db_table} i SET new_id = i.old_id, new_score_id = v.score
                FROM unnest(%s::bigint[], %s::bigint[]) AS v(item, score)
                WHERE i.id = v.item AND i.new_id IS NULL""",  # noqa: S608 - a name of ours
            [[item for item, _ in chosen], [score for _, score in chosen]],
        )
