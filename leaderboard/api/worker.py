"""The worker's only door: claim, progress, report, reject, fail, and the archive to grade; A/A tests likewise.

Every message about an attempt names its number; 409 means the lease is lost and nothing was written.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Body, Router, Schema
from ninja.errors import HttpError
from pydantic import Field

from grader import logs
from grader.problems.catalogue import CATALOGUE, Problem
from grader.protocol.documents import Progress, Report
from grader.schema import SchemaError, decode, encode
from grader.scoring.aa import AAReport
from grader.scoring.score import ScoreError
from leaderboard import lifecycle, workers
from leaderboard.api.auth import WorkerToken
from leaderboard.models import Evaluation, Worker
from leaderboard.storage import archives
from leaderboard.workers.registry import Introduction

router = Router(auth=WorkerToken(), tags=["worker"])
LOG_LIMIT = 64_000  # characters of an attempt's log that are kept


class Claim(Schema):
    """What a worker says of itself when it asks for work."""

    worker: str
    device: str
    sandbox: str = "none"
    contests: dict[str, str]
    versions: dict[str, str] = {}
    device_name: str = ""
    memory_bytes: Annotated[int, Field(ge=0, lt=2**63)] = 0
    compute_capability: Annotated[float, Field(ge=0, le=1000)] = 0.0
    boot: str = ""


class Ending(Schema):
    """Problems and the tail of the log."""

    problems: list[dict[str, str]]
    log: str = ""

    def decoded(self) -> list[Problem]:
        problems = [decode(Problem, item, "problems") for item in self.problems]
        for problem in problems:
            if problem.code not in CATALOGUE:
                raise SchemaError("problems", f"unknown code {problem.code}")
        if not problems:
            raise SchemaError("problems", "at least one is needed")
        return problems


@router.post("/claim", response={200: dict[str, Any], 204: None})
def claim(request: HttpRequest, body: Claim, response: HttpResponse) -> tuple[int, Any]:
    worker = workers.introduce(_worker(request), Introduction(**body.dict(exclude={"worker"})))
    offer = workers.claim(worker)
    if offer.reason:
        response["X-No-Work"] = offer.reason[:500].encode("ascii", "replace").decode()
    return (200, encode(offer.job)) if offer.job else (204, None)


@router.post("/attempts/{evaluation}/{attempt}/progress")
def progress(
    request: HttpRequest, evaluation: int, attempt: int, body: Body[dict[str, Any]]
) -> dict[str, bool]:
    _own(request, evaluation, attempt)
    lifecycle.progress(evaluation, attempt, decode(Progress, body))
    return {"ok": True}


@router.post("/attempts/{evaluation}/{attempt}/report")
def report(request: HttpRequest, evaluation: int, attempt: int) -> dict[str, bool]:
    _own(request, evaluation, attempt)
    try:
        measured = decode(Report, json.loads(request.body))
        lifecycle.record(evaluation, attempt, measured)
    except (json.JSONDecodeError, SchemaError, ScoreError) as error:
        problem = Problem("SYS_RESULT_INVALID", detail=str(error)[:200])
        lifecycle.fail(evaluation, attempt, [problem])
        raise SchemaError("report", str(error)) from error
    return {"ok": True}


@router.post("/attempts/{evaluation}/{attempt}/reject")
def reject(request: HttpRequest, evaluation: int, attempt: int, body: Ending) -> dict[str, bool]:
    _own(request, evaluation, attempt)
    lifecycle.reject(evaluation, attempt, body.decoded(), body.log[-LOG_LIMIT:])
    return {"ok": True}


@router.post("/attempts/{evaluation}/{attempt}/fail")
def fail(request: HttpRequest, evaluation: int, attempt: int, body: Ending) -> dict[str, bool]:
    _own(request, evaluation, attempt)
    lifecycle.fail(evaluation, attempt, body.decoded(), body.log[-LOG_LIMIT:])
    return {"ok": True}


@router.get("/attempts/{evaluation}/{attempt}/archive")
def archive(request: HttpRequest, evaluation: int, attempt: int) -> HttpResponse:
    row = _own(request, evaluation, attempt)
    if row.status != Evaluation.Status.RUNNING or row.attempt != attempt:
        raise lifecycle.StaleAttempt
    if not row.submission.archive:
        raise HttpError(404, "This entry lies on the Hub: fetch the files of the job.")
    response = StreamingHttpResponse(
        archives.pieces(row.submission.archive), content_type="application/octet-stream"
    )
    response["Content-Length"] = row.submission.archive_bytes
    return response  # type: ignore[return-value]


@router.post("/aa/{run}/progress")
def aa_progress(request: HttpRequest, run: int, body: Body[dict[str, Any]]) -> dict[str, bool]:
    worker = _worker(request)
    logs.bind(aa=run)
    workers.saw(worker)
    workers.aa.progress(worker, run, decode(Progress, body))
    return {"ok": True}


@router.post("/aa/{run}/report")
def aa_report(request: HttpRequest, run: int) -> dict[str, bool]:
    worker = _worker(request)
    logs.bind(aa=run)
    try:
        workers.aa.record(worker, run, decode(AAReport, json.loads(request.body)))
    except (
        ValueError,
        ZeroDivisionError,
    ) as error:  # SchemaError and JSONDecodeError are ValueErrors
        problem = Problem("SYS_RESULT_INVALID", detail=str(error)[:200])
        workers.aa.fail(worker, run, [problem])
        raise SchemaError("report", str(error)) from error
    return {"ok": True}


@router.post("/aa/{run}/fail")
def aa_fail(request: HttpRequest, run: int, body: Ending) -> dict[str, bool]:
    workers.aa.fail(_worker(request), run, body.decoded(), body.log[-LOG_LIMIT:])
    return {"ok": True}


def _worker(request: HttpRequest) -> Worker:
    worker: Worker = request.auth  # type: ignore[attr-defined]
    logs.bind(worker=worker.name)
    return worker


def _own(request: HttpRequest, evaluation: int, attempt: int) -> Evaluation:
    """The evaluation, if this worker was given that attempt."""
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
