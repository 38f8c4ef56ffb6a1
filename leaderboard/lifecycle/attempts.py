"""From claimed to scored, rejected, failed or queued again: handling a worker's messages."""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from grader.contest import Effect, changes, effect_of
from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import Progress, Report
from grader.protocol.worker import GradeJob, attempt_url
from grader.schema import encode
from grader.scoring.compliance import base_times
from leaderboard import notifications
from leaderboard.core import doorbell
from leaderboard.lifecycle import causes, review
from leaderboard.lifecycle.board import board_moves
from leaderboard.lifecycle.causes import Cause
from leaderboard.lifecycle.guard import (
    Code,
    StaleAttempt,
    Status,
    close_attempt,
    end,
    holding,
    note,
    soon,
)
from leaderboard.lifecycle.reports import store_report
from leaderboard.lifecycle.scoring import append_score, score_fields
from leaderboard.lifecycle.waiting import waiting_for
from leaderboard.models import (
    Attempt,
    Contest,
    ContestVersion,
    Evaluation,
    Result,
    Worker,
)


def claim(
    worker: Worker, contests: dict[str, str], elsewhere: Collection[str] = ()
) -> GradeJob | None:
    """Give the worker the next evaluation it can grade, with an attempt number and a lease.

    Args:
        contests: contest id → sha256 of the contest file the worker has.
        elsewhere: contests that another live worker could grade too: an evaluation that just broke on this
            worker is left to the other for a while.
    """
    return_lost_work()
    with transaction.atomic():
        evaluation = (
            waiting_for(worker, contests, elsewhere)
            .select_for_update(skip_locked=True, of=("self",))
            .select_related("submission", "version")
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
            lease_until=soon(settings.LEASE_S),
            started=Now(),
            progress=encode(Progress(Stage.FETCH)),
        )
        Attempt.objects.create(evaluation=evaluation, number=number, worker=worker)
        note(evaluation.pk, Status.QUEUED, Status.RUNNING, worker.name, Code.ATTEMPT, n=number)
    submission = evaluation.submission
    return GradeJob(
        evaluation=evaluation.pk,
        attempt=number,
        submission=submission.pk,
        contest=submission.contest_id,
        contest_sha256=contests[submission.contest_id],
        archive_url=attempt_url(evaluation.pk, number, "archive"),
        archive_name=submission.archive_name,
        archive_sha256=submission.archive_sha256,
        archive_bytes=submission.archive_bytes,
        lease_s=settings.LEASE_S,
        heartbeat_s=settings.HEARTBEAT_S,
        hub=submission.hub_source,
        split_salt=evaluation.version.split_salt,
    )


def progress(evaluation_id: int, attempt: int, now: Progress) -> None:
    """Heartbeat: extends the lease and updates the page. Raises StaleAttempt."""
    if not holding(evaluation_id, attempt).update(
        lease_until=soon(settings.LEASE_S), stage=now.stage, progress=encode(now)
    ):
        raise StaleAttempt


def record(evaluation_id: int, attempt: int, report: Report) -> None:
    """Store a report unchanged and score it. Repeating the report of the same attempt succeeds.

    Raises:
        StaleAttempt: another attempt has taken over, or the evaluation ended some other way.
        ScoreError: the report lacks what the formula needs.
    """
    known = Result.objects.filter(evaluation_id=evaluation_id, attempt=attempt)
    if known.exists():
        return
    evaluation = Evaluation.objects.select_related("version", "submission").get(pk=evaluation_id)
    version = _rules_for(evaluation)
    fields = score_fields(report, version) if version else {}
    with transaction.atomic():
        # With the board locked, other rules come into force before this or after it, never in between.
        board_moves(evaluation.submission.contest_id)
        if known.exists():
            return  # a retry of the same report got here first
        held = _held(evaluation_id, attempt)
        if held is None:
            raise StaleAttempt
        if (now := _rules_for(evaluation)) != version:
            version, fields = now, score_fields(report, now) if now else {}
        if version is None:
            _measure_anew(held)
            return
        store_report(held, attempt, report)
        score = append_score(held, version, fields)
        holding(evaluation_id, attempt).update(
            status=Status.SCORED,
            stage=Stage.SCORE,
            score=score,
            lease_until=None,
            finished=Now(),
            problems=encode(list(report.notices)),
        )
        close_attempt(
            evaluation_id, attempt, "scored", stages=encode(list(report.stages)),
            base_times=base_times(report),
        )  # fmt: skip
        value = f"{score.value:.4f}"
        note(evaluation_id, Status.RUNNING, Status.SCORED, "worker", Code.SCORED, score=value)
        notifications.evaluation_ended(evaluation_id)
        review.begin(held, report, version)
        if version.rules.scoring.repeats == "pooled":
            transaction.on_commit(lambda: doorbell.enqueue_repeats(version.contest_id))


def _held(evaluation_id: int, attempt: int) -> Evaluation | None:
    """The locked evaluation, with its entry reread under the board's lock, because teams may have merged."""
    rows = holding(evaluation_id, attempt).select_for_update(of=("self",))
    return rows.select_related("submission", "version").first()


def _rules_for(evaluation: Evaluation) -> ContestVersion | None:
    """The rules to score a report under: those in force, or its batch's. None if they measure differently."""
    if evaluation.batch_id:
        return evaluation.version
    contests = Contest.objects.select_related("version")
    version = contests.get(pk=evaluation.submission.contest_id).version
    if version is None or version == evaluation.version:
        return evaluation.version
    found = effect_of(changes(evaluation.version.rules, version.rules))
    return None if found == Effect.REGRADE else version


def _measure_anew(row: Evaluation) -> None:
    """The rules changed during the measurement: queue it again under those in force, at no cost to anyone."""
    close_attempt(row.pk, row.attempt, "outdated")
    version = Contest.objects.get(pk=row.submission.contest_id).version
    holding(row.pk, row.attempt).update(
        status=Status.QUEUED, stage=Stage.WAIT, version=version, worker=None, lease_until=None,
        progress={}, not_before=Now(),
    )  # fmt: skip
    words = {"version": str(version)}
    note(row.pk, Status.RUNNING, Status.QUEUED, "system", Code.OUTDATED, **words)
    transaction.on_commit(doorbell.ring_workers)


def reject(evaluation_id: int, attempt: int, problems: list[Problem], tail: str = "") -> None:
    """The worker found that the checkpoint breaks a rule. Raises StaleAttempt."""
    with transaction.atomic():
        close_attempt(evaluation_id, attempt, "rejected", problems, tail)
        held = Q(pk=evaluation_id, status=Status.RUNNING, attempt=attempt)
        if not end(held, Status.REJECTED, problems, "worker"):
            raise StaleAttempt


def fail(evaluation_id: int, attempt: int, problems: list[Problem], tail: str = "") -> None:
    """The grader broke: queue it again, or fail it when the attempts are used up. Raises StaleAttempt."""
    with transaction.atomic():
        # a heartbeat may hold the row for a moment, which does not mean the lease is lost
        which = Q(pk=evaluation_id, attempt=attempt)
        if not _give_back(which, problems, "failed", tail, waits=True):
            raise StaleAttempt


def return_lost_work() -> int:
    """Take back every attempt whose lease has run out. Safe to call from any process, any number of times."""
    lost = Q(lease_until__lt=Now())
    problem = [Problem("SYS_WORKER_LOST")]
    returned = 0
    for pk, attempt in Evaluation.objects.filter(lost, status=Status.RUNNING).values_list(
        "pk", "attempt"
    ):
        with transaction.atomic():
            returned += _give_back(lost & Q(pk=pk, attempt=attempt), problem, "lost")
    return returned


def _give_back(
    which: Q, problems: list[Problem], outcome: str, tail: str = "", *, waits: bool = False
) -> bool:
    """Queue a broken attempt again, or fail the evaluation when it has used up its attempts."""
    row = (
        Evaluation.objects.select_for_update(skip_locked=not waits)
        .filter(which, status=Status.RUNNING)
        .first()
    )
    if row is None:
        return False
    faults = row.faults + 1
    close_attempt(row.pk, row.attempt, outcome, problems, tail)
    if crash := _repeated_crash(row, problems):
        Evaluation.objects.filter(pk=row.pk).update(faults=faults)
        running = Q(pk=row.pk, status=Status.RUNNING)
        # kept, because a person may want to look at it or have it graded again
        return end(running, Status.REJECTED, [crash], "system", keep_archive=True)
    cause = causes.cause_of(problems)
    count = causes.count(row.pk, cause)
    if last := _last_straw(cause, count):
        Evaluation.objects.filter(pk=row.pk).update(faults=faults)
        which = Q(pk=row.pk, status=Status.RUNNING)
        return end(which, Status.FAILED, [*problems, last], outcome)
    pause_s = min(5 * 4 ** (count - 1), causes.LONGEST_PAUSE_S)
    Evaluation.objects.filter(pk=row.pk).update(
        status=Status.QUEUED,
        stage=Stage.WAIT,
        faults=faults,
        worker=None,
        lease_until=None,
        progress={},
        not_before=soon(0 if outcome == "lost" else pause_s),
    )
    code = Code.ATTEMPT_LOST if outcome == "lost" else Code.ATTEMPT_FAILED
    words = {"n": row.attempt, "codes": [problem.code for problem in problems]}
    note(row.pk, Status.RUNNING, Status.QUEUED, "system", code, **words)
    transaction.on_commit(doorbell.ring_workers)
    return True


def _last_straw(cause: Cause, count: int) -> Problem | None:
    """Why the evaluation fails now; None if it is tried again."""
    if cause is Cause.ENTRY:
        full = count >= settings.MAX_ATTEMPTS
        return Problem("SYS_ATTEMPTS_EXHAUSTED", detail=str(count)) if full else None
    return Problem("SYS_OUTAGE", cause, str(count)) if count >= causes.MAX_OUTAGES else None


def _repeated_crash(row: Evaluation, problems: list[Problem]) -> Problem | None:
    """The candidate's engine died, as it did in an earlier attempt, so no third machine is put at risk.

    The base model's engine next to it kept running both times, so the checkpoint is at fault.
    """
    died = [p for p in problems if p.code == "SYS_ENGINE_DIED" and p.where == "candidate"]
    if not died:
        return None
    earlier = Attempt.objects.filter(
        evaluation=row,
        number__lt=row.attempt,
        problems__contains=[{"code": "SYS_ENGINE_DIED", "where": "candidate"}],
    )
    before = list(earlier.values_list("number", flat=True))
    if not before:
        return None
    numbers = ", ".join(str(n) for n in [*before, row.attempt])
    return Problem("RUN_CRASH", detail=f"attempts {numbers}: {died[0].detail}"[:300])
