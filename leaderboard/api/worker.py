"""The worker API: claim, progress, report, reject, fail, the archive to grade and the next one; A/A tests.

Every message about an attempt carries its number; 409 means the lease is lost and nothing was written.
:mod:`grader.protocol.worker` defines what a message may hold; a report that is refused ends its attempt.
"""

from __future__ import annotations

import logging
import re
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Router
from ninja.errors import HttpError

from grader import logs
from grader.problems.catalogue import Problem
from grader.protocol import worker as protocol
from grader.protocol.documents import AAReport, Progress, Report
from grader.protocol.worker import AA_RUN, ATTEMPT, Ending, Introduction
from grader.schema import SchemaError, encode
from grader.scoring.score import ScoreError
from leaderboard import lifecycle, workers
from leaderboard.api.auth import WorkerToken
from leaderboard.api.message_docs import body_of
from leaderboard.models import Evaluation, Submission, Worker
from leaderboard.storage import archives

T = TypeVar("T")
log = logging.getLogger(__name__)
router = Router(auth=WorkerToken(), tags=["worker"])


@router.post(
    protocol.CLAIM,
    response={200: dict[str, Any], 204: None},
    openapi_extra=body_of(Introduction),
)
def claim(request: HttpRequest, response: HttpResponse) -> tuple[int, Any]:
    worker = workers.introduce(_worker(request), _read(request, Introduction))
    offer = workers.claim(worker)
    if offer.reason:
        reason = offer.reason[: protocol.NO_WORK_CHARS]
        response[protocol.NO_WORK_HEADER] = reason.encode("ascii", "replace").decode()
    return (200, protocol.encode_job(offer.job)) if offer.job else (204, None)


@router.post(
    protocol.NEXT,
    response={200: dict[str, Any], 204: None},
    openapi_extra=body_of(Introduction),
)
def next_entry(request: HttpRequest) -> tuple[int, Any]:
    """What the worker, which is grading, will probably be given next. Nothing is reserved."""
    worker = workers.introduce(_worker(request), _read(request, Introduction))
    entry = workers.upcoming(worker)
    return (200, encode(entry)) if entry else (204, None)


@router.get(protocol.NEXT_ARCHIVE)
def next_archive(request: HttpRequest, submission: int) -> HttpResponse:
    worker = _worker(request)
    workers.saw(worker)
    found = workers.upcoming_archive(worker, submission)
    if found is None:
        raise lifecycle.StaleAttempt
    logs.bind(submission=submission)
    log.info("worker %s fetches an entry that may be its next", worker.name)
    return _archive(request, found)


@router.post(f"{ATTEMPT}/progress", openapi_extra=body_of(Progress))
def progress(request: HttpRequest, evaluation: int, attempt: int) -> dict[str, bool]:
    _own(request, evaluation, attempt)
    lifecycle.progress(evaluation, attempt, _read(request, Progress))
    return {"ok": True}


@router.post(f"{ATTEMPT}/report", openapi_extra=body_of(Report))
def report(request: HttpRequest, evaluation: int, attempt: int) -> dict[str, bool]:
    row = _own(request, evaluation, attempt)
    try:
        measured = _read(request, Report)
        _require_the_same(measured, row)
        lifecycle.record(evaluation, attempt, measured)
    except (SchemaError, ScoreError) as error:
        lifecycle.fail(evaluation, attempt, [_invalid(error)])
        raise SchemaError("report", str(error)) from error
    return {"ok": True}


@router.post(f"{ATTEMPT}/reject", openapi_extra=body_of(Ending))
def reject(request: HttpRequest, evaluation: int, attempt: int) -> dict[str, bool]:
    _own(request, evaluation, attempt)
    lifecycle.reject(evaluation, attempt, *_ending(request))
    return {"ok": True}


@router.post(f"{ATTEMPT}/fail", openapi_extra=body_of(Ending))
def fail(request: HttpRequest, evaluation: int, attempt: int) -> dict[str, bool]:
    _own(request, evaluation, attempt)
    lifecycle.fail(evaluation, attempt, *_ending(request))
    return {"ok": True}


@router.get(f"{ATTEMPT}/archive")
def archive(request: HttpRequest, evaluation: int, attempt: int) -> HttpResponse:
    row = _own(request, evaluation, attempt)
    if row.status != Evaluation.Status.RUNNING or row.attempt != attempt:
        raise lifecycle.StaleAttempt
    return _archive(request, row.submission)


def _archive(request: HttpRequest, submission: Submission) -> HttpResponse:
    if not submission.archive:
        raise HttpError(404, "This entry lies on the Hub: fetch the files of the job.")
    total = submission.archive_bytes
    start = _start_of(request.headers.get("Range", ""), total)
    response = StreamingHttpResponse(
        archives.pieces(submission.archive, start),
        status=206 if start else 200,
        content_type="application/octet-stream",
    )
    response["Content-Length"] = total - start
    if start:
        response["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
    return response  # type: ignore[return-value]


@router.post(f"{AA_RUN}/progress", openapi_extra=body_of(Progress))
def aa_progress(request: HttpRequest, run: int) -> dict[str, bool]:
    worker = _worker(request)
    logs.bind(aa=run)
    workers.saw(worker)
    workers.aa.progress(worker, run, _read(request, Progress))
    return {"ok": True}


@router.post(f"{AA_RUN}/report", openapi_extra=body_of(AAReport))
def aa_report(request: HttpRequest, run: int) -> dict[str, bool]:
    worker = _worker(request)
    logs.bind(aa=run)
    try:
        workers.aa.record(worker, run, _read(request, AAReport))
    except ValueError as error:  # includes SchemaError
        workers.aa.fail(worker, run, [_invalid(error)])
        raise SchemaError("report", str(error)) from error
    return {"ok": True}


@router.post(f"{AA_RUN}/fail", openapi_extra=body_of(Ending))
def aa_fail(request: HttpRequest, run: int) -> dict[str, bool]:
    workers.aa.fail(_worker(request), run, *_ending(request))
    return {"ok": True}


def _start_of(wanted: str, total: int) -> int:
    """Where a download that broke off goes on. Any other range is answered with the whole archive."""
    found = re.fullmatch(r"bytes=([0-9]{1,18})-", wanted)
    start = int(found[1]) if found else 0
    return start if start < total else 0


def _read(request: HttpRequest, message: type[T]) -> T:
    """Allow more than Django's own body limit, which is the same for every URL."""
    return protocol.read(message, request.read(protocol.limit_bytes(message) + 1))


def _ending(request: HttpRequest) -> tuple[list[Problem], str]:
    ending = _read(request, Ending)
    return list(ending.problems), ending.log[-protocol.LOG_CHARS :]


def _require_the_same(measured: Report, row: Evaluation) -> None:
    """
    Raises:
        SchemaError: it is for another contest, or for weights other than those preflight found in the archive.
    """
    if measured.contest != row.submission.contest_id:
        raise SchemaError("contest", f"expected {row.submission.contest_id}")
    known = row.facts.get("safetensors_bytes")
    if known is not None and measured.checkpoint.safetensors_bytes != known:
        raise SchemaError("checkpoint.safetensors_bytes", f"expected {known}, as preflight found")


def _invalid(error: ValueError) -> Problem:
    if isinstance(error, SchemaError):
        return Problem("SYS_RESULT_INVALID", error.where[:200], error.message[:300])
    return Problem("SYS_RESULT_INVALID", detail=str(error)[:300])


def _worker(request: HttpRequest) -> Worker:
    worker: Worker = request.auth  # type: ignore[attr-defined]
    logs.bind(worker=worker.name)
    return worker


def _own(request: HttpRequest, evaluation: int, attempt: int) -> Evaluation:
    """The evaluation, if this attempt was given to this worker."""
    worker = _worker(request)
    workers.saw(worker)
    row = (
        Evaluation.objects.select_related("submission")
        .filter(pk=evaluation, attempts__number=attempt, attempts__worker=worker)
        .first()
    )
    if row is None:
        raise lifecycle.StaleAttempt
    logs.bind(submission=row.submission_id, evaluation=evaluation, attempt=attempt)
    return row
