"""Applying the formula to thousands of stored reports in chunks, with constant memory."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from grader.scoring.score import ScoreError
from leaderboard import lifecycle
from leaderboard.batches import copying
from leaderboard.models import Batch, BatchItem, Score

CHUNK = 500


def run(batch: Batch) -> bool:
    """Compute the missing scores, saving chunk by chunk. Always returns True: there is nothing to wait for."""
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
    """Reset every item without an outcome so that it is computed again; returns how many items."""
    return batch.items.filter(new__isnull=True).exclude(note="").update(note="")


def _compute(batch: Batch, items: list[BatchItem]) -> None:
    by_evaluation = {item.old_id: item for item in items}
    scored = lifecycle.score_fields_of_many(lifecycle.score_inputs(by_evaluation), batch.version)
    found, failed = {}, []
    for evaluation, item in by_evaluation.items():
        fields = scored.get(evaluation, ScoreError("no report"))
        if isinstance(fields, ScoreError):
            item.note = str(fields)[:200]
            failed.append(item)
        else:
            found[item] = fields
    BatchItem.objects.bulk_update(failed, ["note"])
    _keep(batch, found)


def _keep(batch: Batch, found: dict[BatchItem, dict[str, Any]]) -> None:
    """Append the scores that differ, and point the items to what would become current."""
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
