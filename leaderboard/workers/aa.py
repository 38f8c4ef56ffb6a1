"""A/A tests: requested, scheduled, claimed, judged. A worker that fails one is drained automatically."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from grader.problems.catalogue import CATALOGUE, Problem
from grader.protocol.documents import AAReport, Progress
from grader.protocol.worker import AAJob
from grader.schema import encode
from grader.scoring.aa import judge, outcomes, work_id
from leaderboard.core.clock import soon
from leaderboard.lifecycle import StaleAttempt
from leaderboard.models import AARun, Contest, ContestVersion, Worker
from leaderboard.workers import eligibility, notices, registry
from leaderboard.workers.notices import Actor

Status = AARun.Status


class AlreadyAsked(Exception):
    """The same test is already waiting or running."""


class NotPossible(Exception):
    """The worker may not grade that contest; the message says why."""


def ask(worker: Worker, contest: Contest, *, by: Actor) -> AARun:
    """Have the worker tested at its next claim, drained or not.

    Raises:
        AlreadyAsked, NotPossible.
    """
    version = contest.version
    if version is None or worker.revoked is not None:
        raise NotPossible("retired" if worker.revoked else "no rules")
    if reasons := eligibility.why_not(worker, version):
        raise NotPossible("; ".join(reasons))
    try:
        with transaction.atomic():
            row = AARun.objects.create(
                worker=worker, contest=contest, version=version, asked_by=str(by)
            )
            notices.record(by, "test", worker, after={"contest": contest.slug})
    except IntegrityError as error:
        raise AlreadyAsked from error
    return row


def claim(worker: Worker, versions: list[ContestVersion]) -> AAJob | None:
    """The test to run before the worker's next grade, if one was requested or is due."""
    with transaction.atomic():
        # two concurrent claims by one worker: the second waits here and finds the test running
        worker = Worker.objects.select_for_update().get(pk=worker.pk)
        if worker.drained is None:
            for version in versions:
                _schedule(worker, version)
        row = (
            AARun.objects.filter(worker=worker, status=Status.WAITING, version__in=versions)
            .select_related("version")
            .order_by("pk")
            .first()
        )
        if row is None:
            return None
        AARun.objects.filter(pk=row.pk).update(
            status=Status.RUNNING, started=Now(), lease_until=soon(settings.LEASE_S), progress={}
        )
    return AAJob(
        run=row.pk,
        contest=row.contest_id,
        contest_sha256=row.version.sha256,
        lease_s=settings.LEASE_S,
        heartbeat_s=settings.HEARTBEAT_S,
    )


def _schedule(worker: Worker, version: ContestVersion) -> None:
    """Create the test that the contest's schedule, or a restart of the worker, makes due."""
    rules = version.rules.aa
    if not rules.every_hours or version.pk != version.contest.version_id:
        return
    since = timezone.now() - timedelta(hours=rules.every_hours)
    if worker.booted is not None:
        since = max(since, worker.booted)
    fresh = Q(status__in=AARun.OPEN) | Q(
        status__in=(Status.PASSED, Status.FAILED), finished__gte=since
    )
    if not AARun.objects.filter(fresh, worker=worker, contest=version.contest_id).exists():
        AARun.objects.create(worker=worker, contest_id=version.contest_id, version=version)


def progress(worker: Worker, number: int, now: Progress) -> None:
    """Heartbeat. Raises StaleAttempt."""
    if not _held(worker, number).update(lease_until=soon(settings.LEASE_S), progress=encode(now)):
        raise StaleAttempt


def record(worker: Worker, number: int, report: AAReport) -> AARun:
    """Store and judge a test. Repeating a report succeeds and changes nothing.

    Raises:
        StaleAttempt: the lease was lost.
        ValueError: the report cannot be judged; nothing was written.
    """
    found = outcomes(report)
    with transaction.atomic():
        row = (
            AARun.objects.select_for_update(of=("self",))
            .select_related("version", "worker")
            .filter(pk=number, worker=worker)
            .first()
        )
        if row is None or row.status not in (Status.RUNNING, Status.PASSED, Status.FAILED):
            raise StaleAttempt
        if row.status != Status.RUNNING:
            return row
        rules = row.version.rules
        expected = {shape.id for shape in rules.speed.shapes}
        if {outcome.shape for outcome in found} != expected:
            raise ValueError(f"shapes: expected {sorted(expected)}")
        work = work_id(rules, report.system)
        problems = judge(found, rules.aa, _usual(row, work))
        AARun.objects.filter(pk=row.pk).update(
            work=work, outcomes=encode(list(found)), report=encode(report)
        )
        _end(row, problems)
    row.refresh_from_db()
    return row


def fail(worker: Worker, number: int, problems: list[Problem], log: str = "") -> None:
    """The test broke on the worker, so it did not pass. Raises StaleAttempt."""
    with transaction.atomic():
        row = _held(worker, number).select_for_update(of=("self",)).first()
        if row is None:
            raise StaleAttempt
        AARun.objects.filter(pk=row.pk).update(log=log)
        _end(row, problems)


def return_lost_tests() -> int:
    """Close the tests of workers that went silent; a worker that loses two in a row is drained."""
    lost = AARun.objects.filter(status=Status.RUNNING, lease_until__lt=Now())
    count = 0
    for row in lost.select_related("worker"):
        with transaction.atomic():
            still = lost.filter(pk=row.pk)
            if still.update(status=Status.LOST, finished=Now(), lease_until=None):
                count += 1
                _drain_if_lost_again(row)
    return count


def _drain_if_lost_again(row: AARun) -> None:
    """A machine that breaks under the test would break under a grade, so a person has to look."""
    ended = AARun.objects.filter(worker=row.worker, contest=row.contest_id, pk__lt=row.pk)
    before = ended.exclude(status__in=AARun.OPEN).order_by("-pk").first()
    if before is None or before.status != Status.LOST:
        return
    words = f"A/A tests {before.pk} and {row.pk} were lost: it fell silent during both"
    if registry.drain(row.worker, words, by="system"):
        notices.tell_staff(
            f"Worker {row.worker.name} lost two A/A tests in a row and was drained",
            f"{row.contest_id}: {words}\n\nLook at the machine and the worker's log, then run "
            f"manage.py aa and manage.py workers resume.\n\n"
            f"{settings.SITE_URL}{row.worker.get_absolute_url()}",
        )


def _end(row: AARun, problems: list[Problem]) -> None:
    AARun.objects.filter(pk=row.pk).update(
        status=Status.FAILED if problems else Status.PASSED,
        problems=encode(problems),
        finished=Now(),
        lease_until=None,
        progress={},
    )
    if not problems:
        return
    words = "; ".join(f"{p.code} {p.where} {p.detail}".strip() for p in problems)
    registry.drain(row.worker, f"A/A {row.pk}: {words}", by="system")
    hints = "\n".join(CATALOGUE[p.code].hint("en") for p in problems)
    notices.tell_staff(
        f"Worker {row.worker.name} failed its A/A test and was drained",
        f"{row.contest_id}: {words}\n\n{hints}\n\n"
        f"{settings.SITE_URL}{row.worker.get_absolute_url()}",
    )


def _usual(row: AARun, work: str) -> dict[str, list[float]]:
    """Times of this worker's recent passed tests, on the same work, by shape."""
    since = timezone.now() - timedelta(days=row.version.rules.aa.usual_days)
    earlier = AARun.objects.filter(
        worker=row.worker, work=work, status=Status.PASSED, finished__gte=since
    ).values_list("outcomes", flat=True)
    times: dict[str, list[float]] = {}
    for found in earlier:
        for outcome in found:
            times.setdefault(outcome["shape"], []).append(outcome["base_s"])
    return times


def _held(worker: Worker, number: int) -> QuerySet[AARun]:
    return AARun.objects.select_related("worker").filter(
        pk=number, worker=worker, status=Status.RUNNING
    )
