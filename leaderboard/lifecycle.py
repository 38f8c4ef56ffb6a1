"""The life of an evaluation, and the only module that writes ``Evaluation.status``.

    queued → running → scored
       │        ├────→ rejected    the checkpoint breaks a rule: the team's to fix
       │        ├────→ failed      the grader broke: ours to fix, retried, never costs a team anything
       │        └────→ queued      a lost or broken attempt goes back, at most MAX_ATTEMPTS times
       ├──────→ rejected           found before any worker was used
       └──────→ cancelled          by the team while queued

Each verb: guarded update (exactly one row or nothing happened), an append-only ``Transition``, and what must
follow only after commit. A worker's message carries its attempt number; an older number updates no row.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from grader.problems import Problem, Stage
from grader.report import CheckpointFacts, Job, Progress, Report
from grader.schema import decode, encode
from grader.score import score as compute_score
from leaderboard import bell
from leaderboard.models import (
    Attempt,
    ContestVersion,
    Evaluation,
    Result,
    Score,
    Submission,
    Transition,
    Worker,
)

log = logging.getLogger(__name__)
Status = Evaluation.Status


class StaleAttempt(Exception):
    """The message belongs to an attempt that no longer holds the lease; nothing was written."""


def submit(submission: Submission, *, by: str, priority: int = 0) -> Evaluation:
    """Create the first evaluation of a stored submission; its check is rung for on commit."""
    with transaction.atomic():
        contest = submission.contest
        assert contest.version_id is not None
        evaluation = Evaluation.objects.create(
            submission=submission, version_id=contest.version_id, priority=priority
        )
        _note(evaluation.pk, "", Status.QUEUED, "submitted", by)
        transaction.on_commit(lambda: bell.ring_check(evaluation.pk))
    return evaluation


def begin_check(evaluation_id: int) -> Evaluation | None:
    """Take note that a check starts; None if there is nothing to check (any more)."""
    row = Evaluation.objects.filter(pk=evaluation_id, status=Status.QUEUED, is_checked=False)
    if not row.update(check_attempts=F("check_attempts") + 1, not_before=_soon(30)):
        return None
    return Evaluation.objects.select_related("submission", "version").get(pk=evaluation_id)


def pass_check(evaluation_id: int, facts: CheckpointFacts, notices: Iterable[Problem] = ()) -> bool:
    """Preflight found nothing wrong: a worker may claim it from now on."""
    with transaction.atomic():
        passed = Evaluation.objects.filter(
            pk=evaluation_id, status=Status.QUEUED, is_checked=False
        ).update(
            is_checked=True,
            stage=Stage.WAIT,
            facts=encode(facts),
            problems=encode(list(notices)),
            not_before=Now(),
        )
        if passed:
            _note(evaluation_id, Status.QUEUED, Status.QUEUED, "checked", "preflight")
            transaction.on_commit(bell.ring_workers)
    return bool(passed)


def fail_check(evaluation_id: int, problems: list[Problem]) -> bool:
    """Preflight found the team's mistakes: rejected, at no worker's cost."""
    return _end(
        Q(pk=evaluation_id, status=Status.QUEUED, is_checked=False),
        Status.REJECTED,
        problems,
        "preflight",
    )


def give_up_check(evaluation_id: int, problem: Problem) -> bool:
    """The check itself broke again and again: ours to fix."""
    unchecked = Q(pk=evaluation_id, status=Status.QUEUED, is_checked=False)
    return _end(unchecked, Status.FAILED, [problem], "sweeper")


def claim(worker: Worker, contests: dict[str, str]) -> Job | None:
    """Give the worker the next evaluation it can grade, with an attempt number and a lease.

    Args:
        contests: contest id → sha256 of the contest file the worker has.
    """
    return_lost_work()
    with transaction.atomic():
        wanted = Q()
        for slug, sha256 in contests.items():
            wanted |= Q(version__contest_id=slug, version__sha256=sha256)
        if not wanted:
            return None
        evaluation = (
            Evaluation.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(wanted, status=Status.QUEUED, is_checked=True, not_before__lte=Now())
            .select_related("submission", "version")
            .order_by("-priority", "id")
            .first()
        )
        if evaluation is None:
            return None
        number = evaluation.attempt + 1
        Evaluation.objects.filter(pk=evaluation.pk).update(
            status=Status.RUNNING,
            stage=Stage.FETCH,
            attempt=number,
            worker=worker,
            lease_until=_soon(settings.LEASE_S),
            started=Now(),
            progress=encode(Progress(Stage.FETCH)),
        )
        Attempt.objects.create(evaluation=evaluation, number=number, worker=worker)
        _note(evaluation.pk, Status.QUEUED, Status.RUNNING, f"attempt {number}", worker.name)
    submission = evaluation.submission
    return Job(
        evaluation=evaluation.pk,
        attempt=number,
        submission=submission.pk,
        contest=submission.contest_id,
        contest_sha256=evaluation.version.sha256,
        archive_url=f"/api/worker/attempts/{evaluation.pk}/{number}/archive",
        archive_name=submission.archive_name,
        archive_sha256=submission.archive_sha256,
        archive_bytes=submission.archive_bytes,
        lease_s=settings.LEASE_S,
        heartbeat_s=settings.HEARTBEAT_S,
    )


def progress(evaluation_id: int, attempt: int, now: Progress) -> None:
    """Heartbeat: the lease is extended and the page told. Raises StaleAttempt."""
    if not _holding(evaluation_id, attempt).update(
        lease_until=_soon(settings.LEASE_S), stage=now.stage, progress=encode(now)
    ):
        raise StaleAttempt


def record(evaluation_id: int, attempt: int, report: Report) -> None:
    """Store a report unchanged and score it. A repeated report of the same attempt is a success.

    Raises:
        StaleAttempt: another attempt has taken over, or the evaluation ended some other way.
        ScoreError: the report lacks what the formula needs.
    """
    if Result.objects.filter(evaluation_id=evaluation_id, attempt=attempt).exists():
        return
    evaluation = Evaluation.objects.select_related("version").get(pk=evaluation_id)
    version = evaluation.version
    fields = score_fields(report, version)
    with transaction.atomic():
        held = _holding(evaluation_id, attempt).select_for_update().first()
        if held is None:
            raise StaleAttempt
        Result.objects.create(evaluation=held, attempt=attempt, report=encode(report))
        score = Score.objects.create(evaluation=held, version=version, **fields)
        _holding(evaluation_id, attempt).update(
            status=Status.SCORED,
            stage=Stage.SCORE,
            score=score,
            lease_until=None,
            finished=Now(),
            problems=encode(list(report.notices)),
        )
        _close_attempt(evaluation_id, attempt, "scored")
        _note(evaluation_id, Status.RUNNING, Status.SCORED, f"{score.value:.4f}", "worker")


def reject(evaluation_id: int, attempt: int, problems: list[Problem], tail: str = "") -> None:
    """The worker found the checkpoint to break a rule. Raises StaleAttempt."""
    with transaction.atomic():
        _close_attempt(evaluation_id, attempt, "rejected", problems, tail)
        held = Q(pk=evaluation_id, status=Status.RUNNING, attempt=attempt)
        if not _end(held, Status.REJECTED, problems, "worker"):
            raise StaleAttempt


def fail(evaluation_id: int, attempt: int, problems: list[Problem], tail: str = "") -> None:
    """The grader broke: back to the queue, or failed when the attempts are used up. Raises StaleAttempt."""
    with transaction.atomic():
        if not _give_back(Q(pk=evaluation_id, attempt=attempt), problems, "failed", tail):
            raise StaleAttempt


def return_lost_work() -> int:
    """Take back every attempt whose lease has run out. Any process may call it, any number of times."""
    lost = Q(lease_until__lt=Now())
    problem = [Problem("SYS_WORKER_LOST")]
    returned = 0
    for pk, attempt in Evaluation.objects.filter(lost, status=Status.RUNNING).values_list(
        "pk", "attempt"
    ):
        with transaction.atomic():
            returned += _give_back(lost & Q(pk=pk, attempt=attempt), problem, "lost")
    return returned


def cancel(evaluation_id: int, *, by: str) -> bool:
    """Withdraw a queued evaluation; False if it was too late."""
    return _end(Q(pk=evaluation_id, status=Status.QUEUED), Status.CANCELLED, [], by)


def rescore(evaluation: Evaluation, *, by: str, reason: str) -> Score | None:
    """Apply the contest's current formula to the stored report; append the score and point to it.

    Returns None when the evaluation has no result or the score is the same already.
    """
    result = Result.objects.filter(evaluation=evaluation).first()
    version = evaluation.submission.contest.version
    if result is None or version is None:
        return None
    fields = score_fields(decode(Report, result.report), version)
    with transaction.atomic():
        current = Evaluation.objects.select_for_update().get(pk=evaluation.pk).score
        if current and current.version_id == version.pk and current.value == fields["value"]:
            return None
        score = Score.objects.create(
            evaluation=evaluation, version=version, by=by, reason=reason, **fields
        )
        Evaluation.objects.filter(pk=evaluation.pk, status=Status.SCORED).update(score=score)
    return score


def score_fields(report: Report, version: ContestVersion) -> dict[str, object]:
    """The columns of a ``Score`` row for a report under a version of the contest."""
    result = compute_score(report, version.rules)
    return {
        "formula": version.rules.scoring.formula,
        "value": result.value,
        "half_width": result.half_width,
        "terms": [{**encode(term), "points": term.points} for term in result.terms],
        "safetensors_bytes": report.memory.checkpoint_bytes,
        "speedup": 1.0 / result.term("speed").measured,
        "accuracy": result.term("accuracy").measured,
    }


def _holding(evaluation_id: int, attempt: int) -> models.QuerySet[Evaluation]:
    return Evaluation.objects.filter(pk=evaluation_id, status=Status.RUNNING, attempt=attempt)


def _give_back(which: Q, problems: list[Problem], outcome: str, tail: str = "") -> bool:
    """Queue a broken attempt again, or fail the evaluation when it has used up its attempts."""
    row = (
        Evaluation.objects.select_for_update(skip_locked=True)
        .filter(which, status=Status.RUNNING)
        .first()
    )
    if row is None:
        return False
    faults = row.faults + 1
    _close_attempt(row.pk, row.attempt, outcome, problems, tail)
    if faults >= settings.MAX_ATTEMPTS:
        Evaluation.objects.filter(pk=row.pk).update(faults=faults)
        final = [*problems, Problem("SYS_ATTEMPTS_EXHAUSTED", detail=str(faults))]
        return _end(Q(pk=row.pk, status=Status.RUNNING), Status.FAILED, final, outcome)
    Evaluation.objects.filter(pk=row.pk).update(
        status=Status.QUEUED,
        stage=Stage.WAIT,
        faults=faults,
        worker=None,
        lease_until=None,
        progress={},
        not_before=_soon(0 if outcome == "lost" else 5 * 4 ** (faults - 1)),
    )
    reason = f"attempt {row.attempt} {outcome}: {', '.join(p.code for p in problems)}"
    _note(row.pk, Status.RUNNING, Status.QUEUED, reason, "system")
    transaction.on_commit(bell.ring_workers)
    return True


def _end(which: Q, new: Status, problems: list[Problem], by: str) -> bool:
    """Move one evaluation to a final status; an archive nobody will grade leaves the disk on commit."""
    with transaction.atomic():
        row = (
            Evaluation.objects.select_for_update(of=("self",))
            .select_related("submission")
            .filter(which)
            .first()
        )
        if row is None:
            return False
        Evaluation.objects.filter(pk=row.pk).update(
            status=new,
            problems=encode(problems),
            lease_until=None,
            finished=Now(),
        )
        _note(row.pk, row.status, new, ", ".join(p.code for p in problems)[:200], by)
        if new in (Status.REJECTED, Status.CANCELLED):
            archive = row.submission.archive
            transaction.on_commit(lambda: default_storage.delete(archive))
    return True


def _close_attempt(
    evaluation_id: int,
    number: int,
    outcome: str,
    problems: Iterable[Problem] = (),
    tail: str = "",
) -> None:
    Attempt.objects.filter(evaluation_id=evaluation_id, number=number, ended__isnull=True).update(
        ended=Now(), outcome=outcome, problems=encode(list(problems)), log=tail
    )


def _note(evaluation_id: int, old: str, new: str, reason: str, by: str) -> None:
    Transition.objects.create(
        evaluation_id=evaluation_id, old=old, new=new, reason=reason[:200], by=by[:150]
    )


def _soon(seconds: float) -> models.Expression:
    """The database's clock plus some seconds: no other clock decides about leases."""
    return models.ExpressionWrapper(
        Now() + timedelta(seconds=seconds), output_field=models.DateTimeField()
    )
