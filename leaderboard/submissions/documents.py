"""JSON documents of submissions and checks, each declared once for OpenAPI, API and pages."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from django.conf import settings
from django.utils.translation import get_language
from ninja import Schema

from grader.problems.catalogue import CATALOGUE, Fault
from grader.scoring.parts import Part
from leaderboard.models import Check, Evaluation, Submission, Team, are_exact, public_figures
from leaderboard.submissions import queries, quota

Term = Literal["accuracy", "memory", "speed"]


class TermOut(Schema):
    """One term: ``points`` = ``weight`` × ``value``; ``half_width`` is that of its 95 % interval.

    ``measured`` and ``base``: accuracy 0–1, bytes, or time relative to the base model's. ``capped``: it is more
    than the contest counts, and ``value`` is the cap.
    """

    name: Term
    value: float
    half_width: float
    measured: float
    base: float
    weight: float
    points: float
    capped: bool = False


class ProblemOut(Schema):
    """``where`` is a file, tensor or key; sentence and hint are in the language of ``Accept-Language``."""

    code: str
    where: str
    detail: str
    stage: str
    fault: Literal["team", "system", "notice"]
    sentence: str
    hint: str


class HubOut(Schema):
    """A repository on the Hugging Face Hub, pinned to its commit when it was entered."""

    repo: str
    revision: str
    commit: str


class CheckOut(Schema):
    """A check without an entry. ``scheme`` and the fields after it are empty until it has passed."""

    key: str
    url: str
    contest: str
    name: str
    size_bytes: int
    created: datetime
    state: Literal["waiting", "passed", "refused"]
    problems: list[ProblemOut]
    notices: list[ProblemOut]
    scheme: str
    safetensors_bytes: int
    content_sha256: str


class SubmissionOut(Schema):
    """``status``: queued, running, then scored, rejected (the team's mistake), failed (ours) or cancelled.

    ``position`` in the queue and the expected wait are null unless it is waiting.
    """

    id: int
    url: str
    contest: str
    kind: str
    team: str
    note: str
    archive_name: str
    archive_bytes: int
    archive_sha256: str
    hub: HubOut | None
    created: datetime
    status: Evaluation.Status
    stage: str
    progress: dict[str, Any]
    attempt: int
    position: int | None = None
    wait_s: float | None = None
    problems: list[ProblemOut]
    score: float | None
    half_width: float | None
    terms: list[TermOut]


class SubmissionsOut(Schema):
    """Newest first. ``next`` is the ``cursor`` of the next page; null on the last."""

    items: list[SubmissionOut]
    next: str | None


class ScoreOut(Schema):
    value: float
    half_width: float
    terms: list[TermOut]
    speedup: float
    accuracy: float
    safetensors_bytes: int


class ReportOut(Schema):
    """``report`` as the worker sent it, without the questions; benchmark values are over ``part``."""

    submission: int
    part: Literal["public", "private"]
    score: ScoreOut
    report: dict[str, Any]


class AttemptOut(Schema):
    """One run on one worker; ``log`` is the redacted end of the engine's log, kept if the attempt failed."""

    number: int
    worker: str
    started: datetime
    ended: datetime | None
    outcome: str
    problems: list[ProblemOut]
    log: str


class LogsOut(Schema):
    submission: int
    attempts: list[AttemptOut]


class QuotaOut(Schema):
    """Quota for a day in the contest's time zone; ``resets`` is when the next one begins."""

    limit: int
    used: int
    left: int
    rejected_limit: int
    rejected: int
    resets: datetime


def problems_of(evaluation: Evaluation) -> list[ProblemOut]:
    """Its problems with stage, sentence and hint in the reader's language.

    Findings on an accepted checkpoint are notices, even if another contest refuses such checkpoints.
    """
    found = [_told(problem) for problem in evaluation.problems]
    if evaluation.status != Evaluation.Status.REJECTED:
        for problem in found:
            if problem.fault == Fault.TEAM.value:
                problem.fault = "notice"
    return found


def _told(problem: dict[str, str]) -> ProblemOut:
    kind, language = CATALOGUE[problem["code"]], get_language() or "en"
    return ProblemOut(
        **problem,
        stage=kind.stage.value,
        fault=kind.fault.value,
        sentence=kind.sentence(language),
        hint=kind.hint(language),
    )


def check_json(row: Check) -> dict[str, Any]:
    passed = bool(row.finished and not row.problems)
    return CheckOut(
        key=row.pk,
        url=settings.SITE_URL + row.get_absolute_url(),
        contest=row.contest_id,
        name=row.name,
        size_bytes=row.size_bytes,
        created=row.created,
        state="passed" if passed else "refused" if row.finished else "waiting",
        problems=[_told(problem) for problem in row.problems],
        notices=[_told(problem) for problem in row.notices],
        scheme=row.facts.get("scheme", ""),
        safetensors_bytes=row.facts.get("safetensors_bytes", 0),
        content_sha256=row.facts.get("content_sha256", ""),
    ).dict()


def submission_json(
    row: Submission, evaluation: Evaluation | None = None, *, exact: bool = False
) -> dict[str, Any]:
    """A submission with its current evaluation, fetched unless given; without the queue.

    ``exact``: figures as staff see them.
    """
    evaluation = evaluation or queries.current_evaluation(row)
    is_scored = evaluation.status == Evaluation.Status.SCORED
    score = queries.figures_of(evaluation, row.contest, exact=exact) if is_scored else None
    return SubmissionOut(
        id=row.pk,
        url=settings.SITE_URL + row.get_absolute_url(),
        contest=row.contest_id,
        kind=row.kind,
        team=row.entrant,
        note=row.note,
        archive_name=row.archive_name,
        archive_bytes=row.archive_bytes,
        archive_sha256=row.archive_sha256,
        hub=HubOut(**{name: row.hub[name] for name in HubOut.model_fields}) if row.hub else None,
        created=row.created,
        status=Evaluation.Status(evaluation.status),
        stage=evaluation.stage,
        progress=evaluation.progress,
        attempt=evaluation.attempt,
        problems=problems_of(evaluation),
        score=score.value if score else None,
        half_width=score.half_width if score else None,
        terms=[TermOut(**term) for term in score.terms] if score else [],
    ).dict(exclude_unset=True)


def report_json(evaluation: Evaluation, part: Part, *, exact: bool = False) -> dict[str, Any]:
    """A scored submission's measurements and score, over one part of the questions.

    ``exact``: figures as staff see them. Those of the private part are exact for whoever may see them.
    """
    assert evaluation.score is not None, "for the caller to know"
    assert part != "all", "of a board"
    contest = evaluation.version.contest
    exact = exact or part == "private" or are_exact(contest)
    score = evaluation.score.of(part) if exact else public_figures(evaluation.score, contest)
    measured = queries.report_summary(evaluation, part, exact=exact)
    assert measured is not None, "what has a score was reported"
    return ReportOut(
        submission=evaluation.submission_id,
        part=part,
        score=ScoreOut(**asdict(score)),
        report=measured,
    ).dict()


def logs_json(row: Submission, evaluation: Evaluation) -> dict[str, Any]:
    """A submission's attempts, oldest first, with the ends of their logs."""
    attempts = [
        AttemptOut(
            number=attempt.number,
            worker=attempt.worker.name if attempt.worker else "",
            started=attempt.started,
            ended=attempt.ended,
            outcome=attempt.outcome,
            problems=[_told(problem) for problem in attempt.problems],
            log=attempt.log,
        )
        for attempt in evaluation.attempts.select_related("worker").order_by("number")
    ]
    return LogsOut(submission=row.pk, attempts=attempts).dict()


def quota_json(team: Team) -> dict[str, Any]:
    now = quota.of(team)
    return QuotaOut(**{name: getattr(now, name) for name in QuotaOut.model_fields}).dict()
