"""From a draft to a batch that is ready to apply. Nothing here changes the board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from grader.contest import Effect, changes
from grader.schema import encode
from leaderboard.batches import measuring, rescoring
from leaderboard.batches.choosing import Filter, batch_filter, chosen
from leaderboard.contests.phases import refuse_final
from leaderboard.core import audit, doorbell
from leaderboard.core.errors import Refused
from leaderboard.core.version import release_version
from leaderboard.models import Batch, BatchItem, Contest, Worker

Status, Kind = Batch.Status, Batch.Kind
MAX_REPEATS = 10


def prepare(
    contest: Contest,
    kind: str,
    wanted: Filter,
    *,
    reason: str,
    by: str,
    repeats: int = 1,
    workers: list[str] | None = None,
    noise: float = 0.002,
) -> Batch:
    """Create a draft: validated and stored, not started. It uses the pending rules if there are any.

    Raises:
        Refused: no reason, nothing selected, unknown workers, only one worker for a head-to-head comparison,
            contest finalized, or a filter that would leave part of the board under other rules.
    """
    if not reason.strip():
        raise Refused("BATCH_REASON")
    if not 1 <= repeats <= MAX_REPEATS:
        raise Refused("BATCH_REPEATS", most=MAX_REPEATS)
    refuse_final(contest, "BATCH_FINAL")
    living = Worker.objects.registered().values_list("name", flat=True)
    if unknown := set(workers or []) - set(living):
        raise Refused("BATCH_WORKERS", names=", ".join(sorted(unknown)))
    if kind == Kind.REGRADE and wanted.top and len(set(workers or [])) < 2:
        raise Refused("BATCH_TWO_WORKERS")
    assert contest.version is not None
    version = contest.pending or contest.version
    if version != contest.version:
        if not wanted.is_everything:
            raise Refused("BATCH_PARTIAL")
        needs = [
            c.key
            for c in changes(contest.version.rules, version.rules)
            if c.effect == Effect.REGRADE
        ]
        if kind == Kind.RESCORE and needs:
            raise Refused("BATCH_NEEDS_REGRADE", keys=", ".join(needs))
    if not chosen(contest, kind, wanted).exists():
        raise Refused("BATCH_EMPTY")
    return Batch.objects.create(
        contest=contest,
        kind=kind,
        reason=reason.strip(),
        filter=encode(wanted),
        version=version,
        old_version=contest.version,
        code_version=release_version(),
        repeats=repeats if kind == Kind.REGRADE else 1,
        workers=list(workers or []) if kind == Kind.REGRADE else [],
        noise=noise,
        by=by[:150],
    )


def start(batch: Batch, *, by: object) -> None:
    """Draft → running: record each entry's current score and reserve the entries for this batch.

    Raises:
        Refused: already started, or one of its entries is in another open batch.
    """
    wanted = batch_filter(batch)
    with _refusing_overlap(batch, wanted), transaction.atomic():
        refuse_final(batch.contest, "BATCH_FINAL")
        move(batch, Status.DRAFT, Status.RUNNING, started=Now())
        rows = chosen(batch.contest, batch.kind, wanted)
        BatchItem.objects.bulk_create(
            (
                BatchItem(batch=batch, old_id=pk, submission_id=entry, old_score_id=score)
                for pk, entry, score in rows.values_list(
                    "pk", "submission_id", "score_id"
                ).iterator(chunk_size=5000)
            ),
            batch_size=5000,
        )
        if batch.kind == Kind.REGRADE:
            measuring.begin(batch)
        audit.record(by, "batch.start", batch, contest=batch.contest_id, reason=batch.reason)
        transaction.on_commit(lambda: doorbell.enqueue_batch(batch.pk))


def advance(batch: Batch) -> bool:
    """Advance a running batch; True when it is ready to apply.

    Safe to call from any process, any number of times: one at a time does the work, the others return
    immediately, and the work of an interrupted call is kept.
    """
    batch.refresh_from_db()
    if batch.status != Status.RUNNING:
        return batch.status == Status.READY
    with _alone(batch) as is_mine:
        if not is_mine:
            return False
        done = rescoring.run(batch) if batch.kind == Kind.RESCORE else measuring.collect(batch)
        if not done:
            return False
        Batch.objects.filter(pk=batch.pk, status=Status.RUNNING).update(
            status=Status.READY, ready=Now()
        )
    batch.refresh_from_db()
    return batch.status == Status.READY


def update(batch: Batch, *, by: object) -> int:
    """Ready → running, with the entries that were scored since the start; returns how many.

    Raises:
        Refused: not ready, or one of those entries is in another open batch.
    """
    wanted = batch_filter(batch)
    with _refusing_overlap(batch, wanted), transaction.atomic():
        move(batch, Status.READY, Status.RUNNING)
        known = BatchItem.objects.filter(batch=batch).values("submission")
        new = chosen(batch.contest, batch.kind, wanted).exclude(submission__in=known)
        items = [
            BatchItem(batch=batch, old=e, submission_id=e.submission_id, old_score_id=e.score_id)
            for e in new
        ]
        BatchItem.objects.bulk_create(items)
        if batch.kind == Kind.REGRADE:
            measuring.begin(batch)
        found = {"entries": len(items)}
        audit.record(by, "batch.update", batch, contest=batch.contest_id, after=found)
        transaction.on_commit(lambda: doorbell.enqueue_batch(batch.pk))
    return len(items)


def retry(batch: Batch, *, by: object) -> int:
    """Ready → running, for the entries without an outcome; returns how many."""
    with transaction.atomic():
        move(batch, Status.READY, Status.RUNNING)
        again = rescoring.again if batch.kind == Kind.RESCORE else measuring.again
        count = again(batch)
        audit.record(by, "batch.retry", batch, contest=batch.contest_id, after={"entries": count})
        transaction.on_commit(lambda: doorbell.enqueue_batch(batch.pk))
    return count


def move(batch: Batch, old: str | tuple[str, ...], new: str, **stamps: object) -> None:
    """The guarded update of a batch's status.

    Raises:
        Refused: it has another status; nothing was changed.
    """
    olds = (old,) if isinstance(old, str) else old
    if not Batch.objects.filter(pk=batch.pk, status__in=olds).update(status=new, **stamps):
        batch.refresh_from_db()
        if batch.status == Status.RUNNING and Status.READY in olds:
            raise Refused("BATCH_RUNNING", batch=batch.pk)
        needed = " / ".join(str(Status(one).label) for one in olds)
        raise Refused(
            "BATCH_STATE", batch=batch.pk, state=batch.get_status_display(), needed=needed
        )
    batch.refresh_from_db()


@contextmanager
def _refusing_overlap(batch: Batch, wanted: Filter) -> Iterator[None]:
    """The database allows an entry in one open batch only; the error names the others."""
    try:
        yield
    except IntegrityError as error:
        if "an_entry_in_one_open_batch" not in str(error):
            raise
        entries = chosen(batch.contest, batch.kind, wanted).values("submission")
        taken = BatchItem.objects.filter(is_open=True, submission__in=entries).exclude(batch=batch)
        others = sorted(set(taken.values_list("batch_id", flat=True)))
        raise Refused(
            "BATCH_OVERLAP", count=taken.count(), others=", ".join(f"#{pk}" for pk in others)
        ) from error


@contextmanager
def _alone(batch: Batch) -> Iterator[bool]:
    """Whether this process may work on the batch, by an advisory lock in the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, batch.pk])
        mine = bool(cursor.fetchone()[0])
        try:
            yield mine
        finally:
            if mine:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, batch.pk])


_LOCK = 5_201  # lock class for batches; the second key is the batch
