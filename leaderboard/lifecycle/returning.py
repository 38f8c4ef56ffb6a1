"""Back from failed to queued: evaluations that failed for our sake, by a person or once the cause is gone."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from grader.problems.catalogue import Stage
from leaderboard.core import doorbell
from leaderboard.lifecycle.causes import Cause
from leaderboard.lifecycle.guard import Code, Status, note
from leaderboard.models import AARun, Attempt, Evaluation, Transition

OUTAGE = "SYS_OUTAGE"
AT_MOST = 3  # times by itself: an entry that breaks workers must not do so forever
TRIAL_AFTER = timedelta(minutes=30)
SYSTEM = "system"


def failed_for_our_sake() -> QuerySet[Evaluation]:
    """Current evaluations that failed through no fault of the entry, in contests that are not final."""
    return Evaluation.objects.current().filter(
        Q(problems__contains=[{"code": OUTAGE}])
        | Q(problems__contains=[{"code": "SYS_CHECK_CRASHED"}]),
        status=Status.FAILED,
        batch=None,
        submission__contest__finalised_at=None,
    )


def put_back(which: QuerySet[Evaluation], *, by: str) -> int:
    """Queue failed evaluations again, under the rules in force; returns how many."""
    return sum(_put_back(pk, by) for pk in which.order_by("pk").values_list("pk", flat=True))


def put_back_recovered() -> int:
    """For the sweeper: put back what failed for a cause that is gone.

    It is gone if an attempt of the same contest, or an A/A test of the same worker, has ended well since. Where
    nothing else is left to show that, the oldest entry is tried again after half an hour.
    """
    ended_well = Attempt.objects.filter(
        evaluation__submission__contest=OuterRef("submission__contest"),
        outcome__in=("scored", "rejected"),
        ended__gt=OuterRef("finished"),
    )
    tested_well = AARun.objects.filter(
        worker=OuterRef("worker"), status=AARun.Status.PASSED, finished__gt=OuterRef("finished")
    )
    of_worker = Q(problems__contains=[{"code": OUTAGE, "where": Cause.WORKER.value}])
    failed = failed_for_our_sake().filter(problems__contains=[{"code": OUTAGE}])
    recovered = failed.filter(Exists(ended_well) | (of_worker & Exists(tested_well)))
    count = sum(_put_back(pk, SYSTEM) for pk in _allowed(recovered))
    busy = Evaluation.objects.unfinished().filter(
        submission__contest=OuterRef("submission__contest")
    )
    stuck = failed.filter(~Exists(busy), finished__lt=Now() - TRIAL_AFTER)
    for pk in _allowed(stuck)[:1]:
        count += _put_back(pk, SYSTEM)
    return count


def _allowed(failed: QuerySet[Evaluation]) -> list[int]:
    found = []
    for pk in failed.order_by("finished", "pk").values_list("pk", flat=True):
        before = Transition.objects.filter(evaluation=pk, code=Code.PUT_BACK, by=SYSTEM)
        if before.count() < AT_MOST:
            found.append(pk)
    return found


def _put_back(pk: int, by: str) -> bool:
    with transaction.atomic():
        row = (
            failed_for_our_sake()
            .select_for_update(of=("self",), skip_locked=True)
            .select_related("submission__contest")
            .filter(pk=pk)
            .first()
        )
        if row is None:
            return False
        Evaluation.objects.filter(pk=pk, status=Status.FAILED).update(
            status=Status.QUEUED,
            stage=Stage.WAIT if row.is_checked else Stage.CHECK,
            version=row.submission.contest.version_id or F("version"),
            check_attempts=0,
            problems=[],
            progress={},
            worker=None,
            finished=None,
            not_before=Now(),
        )
        note(pk, Status.FAILED, Status.QUEUED, by, Code.PUT_BACK, n=row.attempt)
        if row.is_checked:
            transaction.on_commit(doorbell.ring_workers)
        else:
            transaction.on_commit(lambda: doorbell.enqueue_check(pk))
    return True
