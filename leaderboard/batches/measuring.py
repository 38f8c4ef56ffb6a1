"""The evaluations of a regrade: one per entry, repetition and worker."""

from __future__ import annotations

from collections import defaultdict

from django.core.files.storage import default_storage
from django.db import transaction

from leaderboard import lifecycle
from leaderboard.models import Batch, BatchItem, Evaluation, Worker

Status = Evaluation.Status
OVER = (Status.SCORED, Status.REJECTED, Status.FAILED, Status.CANCELLED)
FAILED = "SYS"  # note on an item whose measurement failed through a system fault


def begin(batch: Batch) -> None:
    """Queue measurements for every item that has none, behind all live entries."""
    todo = batch.items.filter(new__isnull=True, note="").select_related("submission", "old")
    begun = batch.evaluations.values("submission")
    for item in todo.exclude(submission__in=begun):
        if _is_kept(item):
            _queue(batch, item)
        else:
            BatchItem.objects.filter(pk=item.pk).update(note="the archive is not kept any more")


def again(batch: Batch) -> int:
    """Queue new measurements for every item without an outcome, whatever the reason; returns how many items.

    An entry whose archive is gone cannot be measured and keeps its note.
    """
    missed = batch.items.filter(new__isnull=True).exclude(note="")
    kept = [item for item in missed.select_related("submission", "old") if _is_kept(item)]
    for item in kept:
        BatchItem.objects.filter(pk=item.pk).update(note="")
        _queue(batch, item)
    return len(kept)


def collect(batch: Batch) -> bool:
    """Record the outcome of every item whose measurements have ended; True when all items have one."""
    todo = list(batch.items.filter(new__isnull=True, note="").select_related("old"))
    runs: dict[int, list[Evaluation]] = defaultdict(list)
    for evaluation in batch.evaluations.select_related("score").order_by("pk"):
        runs[evaluation.submission_id].append(evaluation)
    waiting = False
    for item in todo:
        mine = _last_round(batch, runs[item.submission_id])
        if any(run.status not in OVER for run in mine):
            waiting = True
            continue
        _conclude(item, mine)
    return not waiting


def _last_round(batch: Batch, runs: list[Evaluation]) -> list[Evaluation]:
    """An entry's measurements since the last retry, in queue order.

    A round has ``repeats`` of them on each worker, so one more on the same worker starts the next round.
    """
    found: list[Evaluation] = []
    for run in runs:
        if sum(other.only_worker_id == run.only_worker_id for other in found) == batch.repeats:
            found = []
        found.append(run)
    return found


def _conclude(item: BatchItem, runs: list[Evaluation]) -> None:
    """Scored from the pooled measurements; rejected if any was rejected; otherwise no new outcome."""
    with transaction.atomic():
        _note_outcome(item, runs)


def _note_outcome(item: BatchItem, runs: list[Evaluation]) -> None:
    scored = [run for run in runs if run.status == Status.SCORED]
    rejected = [run for run in runs if run.status == Status.REJECTED]
    new: Evaluation | None = None
    if rejected:
        new = rejected[-1]
    elif scored:
        try:
            new = scored[0] if len(scored) == 1 else lifecycle.pool(scored)
        except (
            ValueError
        ) as error:  # the workers did not measure the same thing: a person has to look
            BatchItem.objects.filter(pk=item.pk).update(note=f"not pooled: {error}"[:200])
            return
    if new is None:
        BatchItem.objects.filter(pk=item.pk).update(note=FAILED)
    else:
        BatchItem.objects.filter(pk=item.pk, new__isnull=True).update(
            new=new, new_score_id=new.score_id
        )


def _is_kept(item: BatchItem) -> bool:
    return bool(item.submission.hub) or default_storage.exists(item.submission.archive)


def _queue(batch: Batch, item: BatchItem) -> None:
    living = Worker.objects.registered().filter(name__in=batch.workers)
    on: list[Worker | None] = list(living) or [None]
    for _ in range(batch.repeats):
        for worker in on:
            lifecycle.regrade(item.old, batch, only_worker=worker)
