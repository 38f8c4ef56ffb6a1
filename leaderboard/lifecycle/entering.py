"""From submitted to checked, and every way an evaluation can end before a worker claims it."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import CheckpointFacts
from grader.schema import encode
from leaderboard.core import doorbell
from leaderboard.lifecycle.guard import (
    Code,
    Status,
    end,
    note,
    soon,
)
from leaderboard.models import (
    Evaluation,
    Submission,
)
from leaderboard.storage import archives

CHECK_LEASE_S = 60.0  # a check that has not renewed its lease for this long has died


def submit(submission: Submission, *, by: str, priority: int = 0) -> Evaluation:
    """Create the first evaluation of a stored submission; its check is queued on commit."""
    with transaction.atomic():
        contest = submission.contest
        assert contest.version_id is not None
        evaluation = Evaluation.objects.create(
            submission=submission, version_id=contest.version_id, priority=priority
        )
        note(evaluation.pk, "", Status.QUEUED, by, Code.SUBMITTED)
        transaction.on_commit(lambda: doorbell.enqueue_check(evaluation.pk))
    return evaluation


def begin_check(evaluation_id: int) -> Evaluation | None:
    """Take the lease of a check; None if there is nothing (left) to check, or another check holds it."""
    row = _unchecked(evaluation_id).filter(not_before__lte=Now())
    if not row.update(check_attempts=F("check_attempts") + 1, not_before=soon(CHECK_LEASE_S)):
        return None
    return Evaluation.objects.select_related("submission", "version").get(pk=evaluation_id)


def renew_check(evaluation_id: int, attempt: int) -> bool:
    """Extend the lease of a check at work; False if it is no longer this one's (``check_attempts``)."""
    row = _unchecked(evaluation_id).filter(check_attempts=attempt)
    return bool(row.update(not_before=soon(CHECK_LEASE_S)))


def return_check(evaluation_id: int, attempt: int) -> bool:
    """A fault of ours kept the check from being made: it is tried again in a minute, and does not count."""
    row = _unchecked(evaluation_id).filter(check_attempts=attempt)
    return bool(row.update(check_attempts=F("check_attempts") - 1, not_before=soon(60)))


def _unchecked(evaluation_id: int) -> QuerySet[Evaluation]:
    return Evaluation.objects.filter(pk=evaluation_id, status=Status.QUEUED, is_checked=False)


def pass_check(evaluation_id: int, facts: CheckpointFacts, notices: Iterable[Problem] = ()) -> bool:
    """Preflight passed: a worker may claim it from now on."""
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
            note(evaluation_id, Status.QUEUED, Status.QUEUED, "preflight", Code.CHECKED)
            transaction.on_commit(doorbell.ring_workers)
    return bool(passed)


def hold(evaluation_id: int, facts: CheckpointFacts, problem: Problem) -> bool:
    """Preflight found a duplicate of an earlier entry: cancelled, its archive kept for the team to choose."""
    unchecked = Q(pk=evaluation_id, status=Status.QUEUED, is_checked=False)
    with transaction.atomic():
        held = end(unchecked, Status.CANCELLED, [problem], "preflight", keep_archive=True)
        if held:
            Evaluation.objects.filter(pk=evaluation_id).update(
                facts=encode(facts), held_until=soon(settings.UPLOAD_EXPIRES_S)
            )
    return held


def release(submission: Submission) -> bool:
    """A new entry takes over a held one, including its archive; False if it is not held."""
    held = Evaluation.objects.filter(submission=submission, held_until__gt=Now())
    return bool(held.update(held_until=None))


def forget_held() -> None:
    """Delete the archives of held entries that nobody chose to have graded."""
    with transaction.atomic():
        held = (
            Evaluation.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("submission")
            .filter(held_until__lte=Now())
        )
        for row in held:
            archives.delete(row.submission.archive)
        Evaluation.objects.filter(pk__in=[row.pk for row in held]).update(held_until=None)


def fail_check(evaluation_id: int, problems: list[Problem]) -> bool:
    """Preflight found the team's mistakes: rejected without using a worker."""
    return end(
        Q(pk=evaluation_id, status=Status.QUEUED, is_checked=False),
        Status.REJECTED,
        problems,
        "preflight",
    )


def give_up_check(evaluation_id: int, problem: Problem) -> bool:
    """The check itself broke repeatedly: a system fault."""
    unchecked = Q(pk=evaluation_id, status=Status.QUEUED, is_checked=False)
    return end(unchecked, Status.FAILED, [problem], "sweeper")


def cancel(evaluation_id: int, *, by: str) -> bool:
    """Withdraw a queued evaluation; False if it was too late."""
    return end(Q(pk=evaluation_id, status=Status.QUEUED), Status.CANCELLED, [], by)
