"""The queue as one worker sees it: what it would be given, in order."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from leaderboard.lifecycle.guard import Status
from leaderboard.models import Attempt, ContestVersion, Evaluation, Submission, Worker

# How long an evaluation that broke on one worker waits for another worker that could grade it.
ELSEWHERE_FIRST = timedelta(minutes=5)


def waiting_for(
    worker: Worker, contests: dict[str, str], elsewhere: Collection[str] = ()
) -> QuerySet[Evaluation]:
    """Evaluations that the worker may claim now, the next one first. Arguments as of ``claim``."""
    wanted = _gradable(contests)
    if not wanted:
        return Evaluation.objects.none()
    broke_here = Attempt.objects.filter(
        evaluation=OuterRef("pk"),
        number=OuterRef("attempt"),
        worker=worker,
        ended__gt=Now() - ELSEWHERE_FIRST,
    )
    return (
        Evaluation.objects.exclude(Q(version__contest__in=elsewhere) & Exists(broke_here))
        .filter(wanted, status=Status.QUEUED, is_checked=True, not_before__lte=Now())
        .filter(Q(only_worker=None) | Q(only_worker=worker))
        .order_by("-priority", "id")
    )


def upcoming(
    worker: Worker, contests: dict[str, str], elsewhere: Collection[str] = ()
) -> Submission | None:
    """The entry that the worker will probably be given after the one it is grading; None if it grades none.

    Nothing is reserved. Workers are expected to finish in the order in which they began, so each is shown the
    entry as far down the queue as there are workers that began before it.
    """
    running = _running(contests)
    own = running.filter(worker=worker).order_by("started").first()
    if own is None:
        return None
    before = running.filter(started__lt=own.started).count()
    waiting = waiting_for(worker, contests, elsewhere).select_related("submission")
    return next((row.submission for row in waiting[before : before + 1]), None)


def may_be_next(
    worker: Worker,
    submission_id: int,
    contests: dict[str, str],
    elsewhere: Collection[str] = (),
) -> Submission | None:
    """The entry, if it is so near the front of the queue that :func:`upcoming` may have shown it."""
    running = _running(contests)
    if not running.filter(worker=worker).exists():
        return None
    nearest = waiting_for(worker, contests, elsewhere).select_related("submission")
    near = {row.submission_id: row.submission for row in nearest[: running.count()]}
    return near.get(submission_id)


def _running(contests: Collection[str]) -> QuerySet[Evaluation]:
    return Evaluation.objects.filter(status=Status.RUNNING, version__contest__in=list(contests))


def _gradable(contests: dict[str, str]) -> Q:
    """Evaluations under the worker's rules, or under rules of the same contest that grade identically."""
    wanted = Q()
    for slug, sha256 in contests.items():
        wanted |= Q(version__contest_id=slug, version__sha256=sha256)
    mine = Q()
    for slug, sha256 in contests.items():
        mine |= Q(contest_id=slug, sha256=sha256)
    alike = ContestVersion.objects.filter(mine).exclude(grading_sha256="") if mine else ()
    for version in alike:
        wanted |= Q(
            version__contest_id=version.contest_id, version__grading_sha256=version.grading_sha256
        )
    return wanted
