"""The JSON documents of the site, the same wherever they are shown: API, export, pages, demo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.utils.translation import get_language

from grader.problems.catalogue import CATALOGUE, Fault, Problem
from grader.scoring.parts import Part
from leaderboard import queries
from leaderboard.models import Check, Contest, Evaluation, Submission
from leaderboard.submissions import Refused, Same


def error_body(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


def problem_body(problem: Problem) -> dict[str, str]:
    """A catalogued problem in the reader's language."""
    kind, language = CATALOGUE[problem.code], get_language() or "en"
    message = kind.sentence(language)
    if problem.detail:
        message = f"{message} ({problem.detail})"
    return error_body(problem.code, message, kind.hint(language))


def refusal_body(error: Refused) -> dict[str, Any]:
    """A refusal; one of something the team has entered before names that entry."""
    body: dict[str, Any] = {**problem_body(error.problem)}
    if isinstance(error, Same):
        body["submission"] = error.submission
    return body


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
    """A submission with the evaluation that speaks for it, read unless it is given."""
    evaluation = evaluation or queries.latest_evaluation(row)
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


def board_json(
    found: queries.Board, public_ranks: Mapping[int | None, int] = MappingProxyType({})
) -> dict[str, Any]:
    """The board as the API, the export and ``make demo ONCE=1`` print it.

    Args:
        public_ranks: of the teams, for the private board.
    """
    entries = [entry_json(entry, public_ranks.get(entry.team_id)) for entry in found.entries]
    return {**board_head(found), "entries": entries}


def board_head(found: queries.Board) -> dict[str, Any]:
    return {"contest": found.contest.slug, "formula": found.formula, "part": found.part}


def history_json(found: queries.Board, lines: Iterable[queries.Line]) -> dict[str, Any]:
    """Best scores over time, a line a team."""
    shown = [
        {
            "team": line.entrant,
            "rank": line.rank,
            "steps": [
                {
                    "submission": step.submission_id,
                    "at": step.at,
                    "score": step.value,
                    "half_width": step.half_width,
                }
                for step in line.steps
            ],
        }
        for line in lines
    ]
    return {"contest": found.contest.slug, "part": found.part, "lines": shown}


def entry_json(entry: queries.Entry, public_rank: int | None = None) -> dict[str, Any]:
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
        "public_rank": public_rank,
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
        "weights": {
            "accuracy": rules.formula.accuracy,
            "memory": rules.formula.memory,
            "speed": rules.formula.speed,
        },
        "timezone": rules.timezone,
        "phases": [
            {
                "id": phase.id,
                "title": {"en": phase.title.en, "ko": phase.title.ko},
                "start": phase.start,
                "end": phase.end,
            }
            for phase in rules.phases
        ],
        "is_revealed": row.revealed_at is not None,
        "url": settings.SITE_URL + row.get_absolute_url(),
    }
