"""Apply, cancel, undo: one guarded transaction each."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from grader.contest import Effect, changes, effect_of
from grader.scoring.score import ScoreError
from leaderboard import lifecycle
from leaderboard.batches import choosing, telling
from leaderboard.batches.running import move
from leaderboard.contests.phases import refuse_final
from leaderboard.core import audit
from leaderboard.core.errors import Refused
from leaderboard.models import Batch, BatchItem, Contest, Evaluation, Ruling, Score

Status, Kind = Batch.Status, Batch.Kind


def apply(batch: Batch, *, by: object) -> int:
    """Make the new scores current and bring the batch's rules into force; returns how many entries changed.

    Raises:
        Refused: not ready, already decided, other rules in force or pending by now, an entry whose score has
            changed, or one that would be left under the old rules.
    """
    with transaction.atomic():
        contest = _lock(batch)
        refuse_final(contest, "BATCH_FINAL")
        move(batch, Status.READY, Status.APPLIED, applied=Now(), decided_by=str(by)[:150])
        # Rules loaded since the batch started would be lost silently; they need a batch of their own.
        expected = (batch.old_version_id, contest.pending_id)
        if contest.version_id != batch.old_version_id or batch.version_id not in expected:
            raise Refused("BATCH_VERSION", batch=batch.pk)
        _refuse_moved(batch)
        if batch.version_id != batch.old_version_id:
            _take_in_late_entries(batch)
        changed = lifecycle.put_in_force(batch)
        _bring_into_force(contest, batch.version_id, pending=None)
        batch.items.update(is_open=False)
        contest.refresh_from_db()
        lifecycle.follow_version(contest, by=str(by))
        _note(batch, "batch.apply", by, changed)
        telling.applied(batch)
    return changed


def cancel(batch: Batch, *, by: object) -> None:
    """End an undecided batch; the board does not change, and running measurements are stopped.

    Raises:
        Refused: already decided.
    """
    with transaction.atomic():
        move(batch, Batch.OPEN, Status.CANCELLED, ended=Now(), decided_by=str(by)[:150])
        lifecycle.withdraw(batch, by=str(by))
        _drop_replicates(batch)
        batch.items.update(is_open=False)
        _note(batch, "batch.cancel", by, 0)


def undo(batch: Batch, *, by: object) -> int:
    """Restore everything that applying changed; returns how many entries changed.

    Raises:
        Refused: not applied, other rules in force since, entries in a later batch, or entries that were
            measured under the batch's rules and cannot be scored under the old ones.
    """
    with transaction.atomic():
        contest = _lock(batch)
        refuse_final(contest, "BATCH_FINAL")
        move(batch, Status.APPLIED, Status.UNDONE, ended=Now(), decided_by=str(by)[:150])
        if contest.version_id != batch.version_id:
            raise Refused("BATCH_VERSION", batch=batch.pk)
        _refuse_covered(batch)
        changed = lifecycle.take_out_of_force(batch)
        if batch.version_id != batch.old_version_id:
            _score_newcomers_under_old_rules(batch)
            waits = contest.pending_id or batch.version_id  # what was loaded last
            _bring_into_force(
                contest,
                batch.old_version_id,
                pending=waits if waits != batch.old_version_id else None,
            )
            contest.refresh_from_db()
            lifecycle.follow_version(contest, by=str(by))
        _drop_replicates(batch)
        _note(batch, "batch.undo", by, changed)
        telling.undone(batch)
    return changed


def _drop_replicates(batch: Batch) -> None:
    """Of scores that will never count: they are nearly all of a score's bytes, 400 MB in a batch of 45,000."""
    new = batch.items.filter(new_score__isnull=False).exclude(new_score=F("old_score"))
    scores = Score.objects.filter(pk__in=new.values("new_score"), current_for__isnull=True)
    scores.update(replicates=b"", private_replicates=b"")


def late_entries(batch: Batch) -> list[Evaluation]:
    """Current scored entries outside the batch whose score is under rules other than the batch's."""
    known = batch.items.values("submission")
    found = choosing.scored(batch.contest).exclude(submission__in=known)
    return list(found.exclude(score__version=batch.version).select_related("score", "submission"))


def _lock(batch: Batch) -> Contest:
    """The contest with its board locked: no report is recorded and no other batch decided until commit."""
    lifecycle.board_moves(batch.contest_id)
    return Contest.objects.get(pk=batch.contest_id)


def _bring_into_force(contest: Contest, version_id: int, *, pending: int | None) -> None:
    if contest.version_id != version_id:
        Contest.objects.filter(pk=contest.pk).update(version=version_id, pending=pending)


def _refuse_moved(batch: Batch) -> None:
    moved = batch.items.filter(
        Q(old__is_current=False) | ~Q(old__score=F("old_score")) & Q(old_score__isnull=False)
    ).count()
    if moved:
        raise Refused("BATCH_MOVED", count=moved, batch=batch.pk)


def _take_in_late_entries(batch: Batch) -> None:
    """Entries scored since the start: a rescore computes them now, a regrade has to measure them first."""
    unmeasured = batch.items.filter(new__isnull=True, old__status=Evaluation.Status.SCORED)
    _fail_disqualified(batch, unmeasured)
    if count := unmeasured.count():
        raise Refused("BATCH_UNMEASURED", count=count)
    late = late_entries(batch)
    if late and batch.kind == Kind.REGRADE:
        raise Refused("BATCH_LATE_ENTRIES", count=len(late), batch=batch.pk)
    for evaluation in late:
        score = _score(evaluation, batch)
        BatchItem.objects.create(
            batch=batch, submission_id=evaluation.submission_id, old=evaluation,
            old_score=evaluation.score, new=evaluation, new_score=score,
        )  # fmt: skip


def _fail_disqualified(batch: Batch, unmeasured: QuerySet[BatchItem]) -> None:
    """Do not wait for disqualified entries: they fail under the new rules and keep no score from the old ones.

    If the ruling is lifted, such an entry stays off the board until another regrade has measured it.
    """
    ruled = Ruling.objects.in_force().filter(contest=batch.contest, kind=Ruling.Kind.DISQUALIFIED)
    is_out = Q(submission__in=ruled.values("submission")) | Q(
        submission__team__in=ruled.values("team")
    )
    for item in list(unmeasured.filter(is_out).select_related("old")):
        item.new = lifecycle.fail_unmeasured(item.old, batch)
        item.save(update_fields=["new"])


def _score_newcomers_under_old_rules(batch: Batch) -> None:
    """Rescore entries that were scored since applying, so that the whole board returns to the old version.

    A score under the old version is not comparable if the report was measured differently.
    """
    found = choosing.scored(batch.contest).filter(score__version=batch.version)
    found = found.exclude(submission__in=batch.items.values("submission"))
    newcomers = list(found.select_related("version"))
    old = batch.old_version
    otherwise = {
        version.pk
        for version in {evaluation.version for evaluation in newcomers}
        if effect_of(changes(version.rules, old.rules)) == Effect.REGRADE
    }
    unfit = sum(evaluation.version_id in otherwise for evaluation in newcomers)
    if unfit:
        raise Refused("BATCH_NEWCOMERS", count=unfit, batch=batch.pk)
    for evaluation in newcomers:
        try:
            lifecycle.rescore(evaluation, old, by=batch.by, reason=f"undo of batch {batch.pk}")
        except ScoreError as error:
            raise Refused("BATCH_NEWCOMERS", count=1, batch=batch.pk) from error


def _score(evaluation: Evaluation, batch: Batch) -> Score:
    found = lifecycle.score_inputs([evaluation.pk])[evaluation.pk]
    fields = lifecycle.score_fields(found, batch.version)
    return lifecycle.append_score(
        evaluation, batch.version, fields, by=batch.by, reason=batch.reason
    )


def _refuse_covered(batch: Batch) -> None:
    """A later batch over the same entries has to be undone or cancelled first."""
    same = BatchItem.objects.filter(submission__in=batch.items.values("submission"))
    later = Q(is_open=True) | Q(batch__status=Status.APPLIED, batch__applied__gt=batch.applied)
    others = set(same.exclude(batch=batch).filter(later).values_list("batch_id", flat=True))
    if others:
        raise Refused("BATCH_COVERED", others=", ".join(f"#{pk}" for pk in sorted(others)))


def _note(batch: Batch, action: str, by: object, changed: int) -> None:
    audit.record(
        by,
        action,
        batch,
        contest=batch.contest_id,
        before={"version": str(batch.old_version)},
        after={"version": str(batch.version), "state": batch.status, "entries": changed},
        reason=batch.reason,
    )
