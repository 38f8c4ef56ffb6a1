"""The worker's only door: claim, progress, report, reject, fail, and the archive to grade.

Every message about an attempt names its number; 409 means the lease is lost and nothing was written.
"""

from __future__ import annotations

import json
from typing import Any

from django.db.models.functions import Now
from django.http import FileResponse, HttpRequest, HttpResponse
from ninja import Body, Router, Schema

from grader.problems import CATALOGUE, Problem
from grader.report import Progress, Report
from grader.schema import SchemaError, decode, encode
from grader.score import ScoreError
from leaderboard import lifecycle
from leaderboard.api.auth import WorkerToken
from leaderboard.models import Evaluation, Worker
from leaderboard.submissions import archive_path

router = Router(auth=WorkerToken(), tags=["worker"])
LOG_LIMIT = 64_000  # characters of an attempt's log that are kept


class Claim(Schema):
    """What a worker says of itself when it asks for work."""

    worker: str
    device: str
    sandbox: str = "none"
    contests: dict[str, str]
    versions: dict[str, str] = {}


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
def claim(request: HttpRequest, body: Claim) -> tuple[int, Any]:
    worker: Worker = request.auth  # type: ignore[attr-defined]
    Worker.objects.filter(pk=worker.pk).update(
        device=body.device[:20], sandbox=body.sandbox[:20], versions=body.versions, last_seen=Now()
    )
    job = lifecycle.claim(worker, body.contests)
    return (200, encode(job)) if job else (204, None)


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
    return FileResponse(archive_path(row.submission).open("rb"), filename="archive")  # type: ignore[return-value]


def _own(request: HttpRequest, evaluation: int, attempt: int) -> Evaluation:
    """The evaluation, if this worker was given that attempt."""
    worker: Worker = request.auth  # type: ignore[attr-defined]
    Worker.objects.filter(pk=worker.pk).update(last_seen=Now())
    row = (
        Evaluation.objects.select_related("submission")
        .filter(pk=evaluation, attempts__number=attempt, attempts__worker=worker)
        .first()
    )
    if row is None:
        raise lifecycle.StaleAttempt
    return row
