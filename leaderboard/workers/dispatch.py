"""What a polling worker gets: an A/A test that is due, or the next evaluation, or a reason."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.utils import translation

from grader.protocol import worker as protocol
from grader.protocol.worker import Job, NextEntry
from leaderboard import lifecycle
from leaderboard.models import Contest, ContestVersion, Submission, Worker
from leaderboard.workers import aa, eligibility

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Offer:
    """A job, or why there is none: empty if nothing is waiting, otherwise a sentence for the operator."""

    job: Job | None
    reason: str = ""


def claim(worker: Worker) -> Offer:
    """Work for a worker that has just reported its capabilities."""
    with translation.override("en"):  # the reason ends up in logs
        offer = _claim(worker)
    if offer.reason:
        log.info("worker %s gets no work: %s", worker.name, offer.reason)
    return offer


def upcoming(worker: Worker) -> NextEntry | None:
    """What a worker that is grading will probably be given next, so that it can fetch it meanwhile."""
    if worker.drained is not None:
        return None
    versions, elsewhere = _known_to(_contests(worker)[0])
    submission = lifecycle.upcoming(worker, versions, elsewhere)
    if submission is None:
        return None
    return NextEntry(
        submission=submission.pk,
        contest=submission.contest_id,
        contest_sha256=versions[submission.contest_id],
        archive_url=protocol.next_archive_url(submission.pk),
        archive_sha256=submission.archive_sha256,
        archive_bytes=submission.archive_bytes,
        hub=submission.hub_source,
    )


def upcoming_archive(worker: Worker, submission_id: int) -> Submission | None:
    """The entry, if the worker may fetch its archive before it has claimed it."""
    if worker.drained is not None:
        return None
    versions, elsewhere = _known_to(_contests(worker)[0])
    return lifecycle.may_be_next(worker, submission_id, versions, elsewhere)


def _claim(worker: Worker) -> Offer:
    aa.return_lost_tests()
    known, refusals = _contests(worker)
    if test := aa.claim(worker, [version for version, _ in known]):
        return Offer(test)
    if worker.drained is not None:
        lifecycle.return_lost_work()
        return Offer(None, protocol.DRAINED + worker.drain_reason)
    versions, elsewhere = _known_to(known)
    job = lifecycle.claim(worker, versions, elsewhere)
    return Offer(job, "" if job else "; ".join(refusals))


def _known_to(known: list[tuple[ContestVersion, bool]]) -> tuple[dict[str, str], set[str]]:
    """Contests with the digest of the worker's copy, and those that another worker may grade too."""
    versions = {version.contest_id: version.sha256 for version, _ in known}
    return versions, {version.contest_id for version, others in known if others}


def _contests(worker: Worker) -> tuple[list[tuple[ContestVersion, bool]], list[str]]:
    """Versions the worker may grade, with whether another live worker may too, and what rules the others out.

    A worker's copy may be an older version: entries under that one are still graded under it.
    """
    others = list(Worker.objects.alive().accepting().exclude(pk=worker.pk))
    known = [
        (version, bool(eligibility.able(others, version)))
        for version in ContestVersion.objects.filter(
            contest__in=worker.contests, sha256__in=worker.contests.values()
        )
        if not eligibility.why_not(worker, version)
    ]
    refusals = [
        f"{contest.slug}: {reason}"
        for contest in Contest.objects.listed()
        if contest.version is not None
        for reason in eligibility.why_not(worker, contest.version)
    ]
    return known, refusals
