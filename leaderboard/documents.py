"""The JSON documents of the site, the same wherever they are shown: API, export, pages, demo."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import get_language

from grader.problems import CATALOGUE, Fault, Problem
from leaderboard import queries
from leaderboard.models import Contest, Evaluation, Submission


def error_body(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


def problem_body(problem: Problem) -> dict[str, str]:
    """A catalogued problem in the reader's language."""
    kind, language = CATALOGUE[problem.code], get_language() or "en"
    message = kind.sentence(language)
    if problem.detail:
        message = f"{message} ({problem.detail})"
    return error_body(problem.code, message, kind.hint(language))


def problems_of(evaluation: Evaluation) -> list[dict[str, str]]:
    """Its problems with stage, sentence and hint in the reader's language.

    What the team is told of a checkpoint that was accepted is a notice, also where another contest refuses it.
    """
    language = get_language() or "en"
    is_refused = evaluation.status == Evaluation.Status.REJECTED
    found = []
    for problem in evaluation.problems:
        kind = CATALOGUE[problem["code"]]
        fault = kind.fault if is_refused or kind.fault is not Fault.TEAM else Fault.NOTICE
        found.append({
            **problem,
            "stage": kind.stage.value,
            "fault": fault.value,
            "sentence": kind.sentence(language),
            "hint": kind.hint(language),
        })  # fmt: skip
    return found


def submission_json(row: Submission) -> dict[str, Any]:
    """A submission with the evaluation that speaks for it."""
    evaluation = queries.latest_evaluation(row)
    score = evaluation.score if evaluation.status == Evaluation.Status.SCORED else None
    return {
        "id": row.pk,
        "url": settings.SITE_URL + row.get_absolute_url(),
        "contest": row.contest_id,
        "kind": row.kind,
        "team": row.entrant,
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


def board_json(found: queries.Board) -> dict[str, Any]:
    """The board as the API, the export and ``make demo ONCE=1`` print it."""
    return {**board_head(found), "entries": [entry_json(entry) for entry in found.entries]}


def board_head(found: queries.Board) -> dict[str, Any]:
    return {"contest": found.contest.slug, "formula": found.formula}


def entry_json(entry: queries.Entry) -> dict[str, Any]:
    return {
        "rank": entry.rank,
        "rank_interval": [entry.standing.best, entry.standing.worst],
        "tied": entry.tied,
        "team": entry.entrant,
        "kind": entry.kind,
        "submission": entry.submission_id,
        "score": entry.score.value,
        "half_width": entry.score.half_width,
        "terms": entry.score.terms,
        "accuracy": entry.score.accuracy,
        "safetensors_bytes": entry.score.safetensors_bytes,
        "speedup": entry.score.speedup,
        "submissions": entry.submissions,
        "submitted": entry.submitted,
    }


def contest_json(row: Contest) -> dict[str, Any]:
    rules = row.rules
    return {
        "id": row.slug,
        "title": {"en": rules.title.en, "ko": rules.title.ko},
        "summary": {"en": rules.summary.en, "ko": rules.summary.ko},
        "base_model": rules.base_model.id,
        "sha256": rules.sha256,
        "is_open": row.accepts_submissions,
        "limits": {
            "archive_bytes": rules.limits.archive_bytes,
            "submissions_per_day": rules.limits.submissions_per_day,
        },
        "formula": rules.scoring.formula,
        "url": settings.SITE_URL + row.get_absolute_url(),
    }
