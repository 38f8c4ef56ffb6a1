"""The JSON documents of the site, the same wherever they are shown: API, export, pages, demo."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.utils.translation import get_language

from grader.problems.catalogue import CATALOGUE, Fault
from grader.scoring.parts import Part
from leaderboard.models import Check, Evaluation, Submission
from leaderboard.submissions import queries


def problems_of(evaluation: Evaluation) -> list[dict[str, str]]:
    """Its problems with stage, sentence and hint in the reader's language.

    What the team is told of a checkpoint that was accepted is a notice, also where another contest refuses it.
    """
    found = [_told(problem) for problem in evaluation.problems]
    if evaluation.status != Evaluation.Status.REJECTED:
        for problem in found:
            problem["fault"] = problem["fault"].replace(Fault.TEAM.value, Fault.NOTICE.value)
    return found


def _told(problem: dict[str, str]) -> dict[str, str]:
    kind, language = CATALOGUE[problem["code"]], get_language() or "en"
    return {
        **problem,
        "stage": kind.stage.value,
        "fault": kind.fault.value,
        "sentence": kind.sentence(language),
        "hint": kind.hint(language),
    }


def check_json(row: Check) -> dict[str, Any]:
    """A check without an entry; ``state`` is waiting, passed or refused."""
    passed = bool(row.finished and not row.problems)
    return {
        "key": row.pk,
        "url": settings.SITE_URL + row.get_absolute_url(),
        "contest": row.contest_id,
        "name": row.name,
        "size_bytes": row.size_bytes,
        "created": row.created,
        "state": "passed" if passed else "refused" if row.finished else "waiting",
        "problems": [_told(problem) for problem in row.problems],
        "notices": [_told(problem) for problem in row.notices],
        "scheme": row.facts.get("scheme", ""),
        "safetensors_bytes": row.facts.get("safetensors_bytes", 0),
        "content_sha256": row.facts.get("content_sha256", ""),
    }


def submission_json(row: Submission, evaluation: Evaluation | None = None) -> dict[str, Any]:
    """A submission with its current evaluation, read unless it is given."""
    evaluation = evaluation or queries.current_evaluation(row)
    score = evaluation.score if evaluation.status == Evaluation.Status.SCORED else None
    return {
        "id": row.pk,
        "url": settings.SITE_URL + row.get_absolute_url(),
        "contest": row.contest_id,
        "kind": row.kind,
        "team": row.entrant,
        "note": row.note,
        "archive_name": row.archive_name,
        "archive_bytes": row.archive_bytes,
        "archive_sha256": row.archive_sha256,
        "hub": {key: row.hub[key] for key in ("repo", "revision", "commit")} if row.hub else None,
        "created": row.created,
        "status": evaluation.status,
        "stage": evaluation.stage,
        "progress": evaluation.progress,
        "attempt": evaluation.attempt,
        "problems": problems_of(evaluation),
        "score": score.value if score else None,
        "half_width": score.half_width if score else None,
        "terms": score.terms if score else [],
    }


def report_json(evaluation: Evaluation, part: Part) -> dict[str, Any]:
    """What was measured of a scored submission, and its score, over one part of the questions."""
    assert evaluation.score is not None, "for the caller to know"
    return {
        "submission": evaluation.submission_id,
        "part": part,
        "score": asdict(evaluation.score.of(part)),
        "report": queries.report_summary(evaluation, part),
    }


def logs_json(row: Submission, evaluation: Evaluation) -> dict[str, Any]:
    """The attempts at a submission, oldest first, with the ends of their logs."""
    attempts = [
        {
            "number": attempt.number,
            "worker": attempt.worker.name if attempt.worker else "",
            "started": attempt.started,
            "ended": attempt.ended,
            "outcome": attempt.outcome,
            "problems": [_told(problem) for problem in attempt.problems],
            "log": attempt.log,
        }
        for attempt in evaluation.attempts.select_related("worker").order_by("number")
    ]
    return {"submission": row.pk, "attempts": attempts}
