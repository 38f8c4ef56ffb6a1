"""Measuring an entry again without affecting its current evaluation, and changing which one is current."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import Report
from grader.schema import decode, encode
from grader.scoring.pooling import pool as pool_reports
from leaderboard.core import doorbell
from leaderboard.lifecycle.guard import Code, Status, close_attempt, end, note
from leaderboard.lifecycle.reports import store_report, whole_report
from leaderboard.lifecycle.scoring import append_score, score_fields
from leaderboard.models import (
    Batch,
    BatchItem,
    Contest,
    ContestVersion,
    Evaluation,
    Result,
    Score,
    Submission,
    Worker,
)

REGRADE_PRIORITY = -10  # live entries have 0 and go first


def regrade(old: Evaluation, batch: Batch, *, only_worker: Worker | None = None) -> Evaluation:
    """Queue another measurement of an entry. It does not count before its batch is applied."""
    with transaction.atomic():
        new = Evaluation.objects.create(
            submission_id=old.submission_id,
            version=batch.version,
            priority=REGRADE_PRIORITY,
            stage=Stage.WAIT,
            is_checked=True,  # it was checked, or it would have been rejected; the worker checks again
            facts=old.facts,
            is_current=False,
            batch=batch,
            only_worker=only_worker,
        )
        note(new.pk, "", Status.QUEUED, batch.by, Code.BATCH, n=batch.pk, why=batch.reason)
        transaction.on_commit(doorbell.ring_workers)
    return new


def withdraw(batch: Batch, *, by: str) -> int:
    """Cancel a batch's unfinished measurements; a worker still measuring one is stopped when it reports."""
    count = 0
    unfinished = batch.evaluations.unfinished()
    for pk, attempt in unfinished.values_list("pk", "attempt"):
        close_attempt(pk, attempt, "cancelled")
        held = Q(pk=pk, status__in=Evaluation.UNFINISHED)
        count += end(held, Status.CANCELLED, [], by)
    return count


def pool(runs: list[Evaluation]) -> Evaluation:
    """One scored evaluation whose report pools several measurements of one entry."""
    first = runs[0]
    assert first.batch is not None
    report = pooled_report(runs)
    fields = score_fields(report, first.version)
    numbers = [run.pk for run in runs]
    with transaction.atomic():
        return pooled(
            report, fields, like=first, version=first.version, numbers=numbers, batch=first.batch
        )


def pooled_report(runs: Sequence[Evaluation]) -> Report:
    """The pool of what these evaluations measured.

    Raises:
        ValueError: they are of different questions or load shapes.
    """
    results = {r.evaluation_id: r for r in Result.objects.filter(evaluation__in=runs)}
    return pool_reports([decode(Report, whole_report(results[run.pk])) for run in runs])


def pooled(
    report: Report,
    fields: dict[str, Any],
    *,
    like: Evaluation,
    version: ContestVersion,
    numbers: list[int],
    batch: Batch | None = None,
) -> Evaluation:
    """A scored evaluation, not current yet, from a pooled report and its score; otherwise like ``like``."""
    new = Evaluation.objects.create(
        submission_id=like.submission_id,
        version=version,
        stage=Stage.SCORE,
        is_checked=True,
        facts=like.facts,
        is_current=False,
        batch=batch,
        problems=encode(list(report.notices)),
        started=like.started,
    )
    store_report(new, 0, report)
    score = append_score(new, version, fields)
    Evaluation.objects.filter(pk=new.pk, status=Status.QUEUED).update(
        status=Status.SCORED, score=score, finished=Now()
    )
    by = "batch" if batch else "system"
    note(new.pk, "", Status.SCORED, by, Code.POOLED, numbers=numbers)
    new.refresh_from_db()
    return new


def fail_unmeasured(old: Evaluation, batch: Batch) -> Evaluation:
    """A failed evaluation for an entry that its batch could not measure; current once the batch is applied."""
    problem = Problem("SYS_ATTEMPTS_EXHAUSTED", detail=f"batch {batch.pk}")
    with transaction.atomic():
        new = Evaluation.objects.create(
            submission_id=old.submission_id,
            version=batch.version,
            status=Status.FAILED,
            stage=Stage.WAIT,
            is_checked=True,
            facts=old.facts,
            is_current=False,
            batch=batch,
            problems=encode([problem]),
            finished=Now(),
        )
        note(new.pk, "", Status.FAILED, "batch", Code.UNMEASURED, n=batch.pk)
    return new


def put_in_force(batch: Batch) -> int:
    """Make the evaluations and scores of a batch's items current; returns how many entries changed."""
    return _swap(batch, give="new", take="old")


def take_out_of_force(batch: Batch) -> int:
    """The exact inverse of :func:`put_in_force`."""
    return _swap(batch, give="old", take="new")


def _swap(batch: Batch, *, give: str, take: str) -> int:
    """Three statements for any number of entries: the current one is unset, then the other one is set.

    A score stores the team that owned the entry at the time; teams may have merged since.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE {_SCORE} s SET team_id = e.team_id FROM {_ITEM} i, {_ENTRY} e
                WHERE i.batch_id = %s AND s.id = i.{give}_score_id AND e.id = i.submission_id
                  AND s.team_id IS DISTINCT FROM e.team_id""",  # noqa: S608 - names of ours
            [batch.pk],
        )
        cursor.execute(
            f"""UPDATE {_EVALUATION} e SET is_current = false FROM {_ITEM} i
                WHERE i.batch_id = %s AND i.new_id IS NOT NULL AND i.new_id <> i.old_id
                  AND e.id = i.{take}_id""",  # noqa: S608 - names of ours
            [batch.pk],
        )
        cursor.execute(
            f"""UPDATE {_EVALUATION} e SET is_current = true, score_id = i.{give}_score_id FROM {_ITEM} i
                WHERE i.batch_id = %s AND i.new_id IS NOT NULL AND e.id = i.{give}_id
                  AND (NOT e.is_current OR e.score_id IS DISTINCT FROM i.{give}_score_id)""",  # noqa: S608
            [batch.pk],
        )
        return int(cursor.rowcount)


_EVALUATION, _ITEM = Evaluation._meta.db_table, BatchItem._meta.db_table
_SCORE, _ENTRY = Score._meta.db_table, Submission._meta.db_table


def follow_version(contest: Contest, *, by: str) -> int:
    """Move waiting entries that no worker has claimed to the rules in force; returns how many."""
    assert contest.version is not None
    waiting = Evaluation.objects.current().of_contest(contest).filter(status=Status.QUEUED)
    late = waiting.exclude(version=contest.version)
    with transaction.atomic():
        moved = list(late.select_for_update(of=("self",)).values_list("pk", flat=True))
        Evaluation.objects.filter(pk__in=moved, status=Status.QUEUED).update(
            version=contest.version
        )
        for pk in moved:
            version = str(contest.version)
            note(pk, Status.QUEUED, Status.QUEUED, by, Code.RULES, version=version)
        if moved:
            transaction.on_commit(doorbell.ring_workers)
    return len(moved)
