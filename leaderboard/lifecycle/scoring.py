"""The formula over a stored report: the columns of a score, and scoring again."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from grader import score as formula
from grader.report import Report
from grader.schema import decode, encode
from grader.split import Part, has_private
from leaderboard.lifecycle.board import board_moves
from leaderboard.lifecycle.guard import (
    Status,
)
from leaderboard.models import (
    ContestVersion,
    Evaluation,
    Result,
    Score,
)


def rescore(evaluation: Evaluation, *, by: str, reason: str) -> Score | None:
    """Apply the contest's current formula to the stored report; append the score and point to it.

    Returns None when the evaluation has no result or the score is the same already.
    """
    result = Result.objects.filter(evaluation=evaluation).first()
    version = evaluation.submission.contest.version
    if result is None or version is None:
        return None
    fields = score_fields(decode(Report, result.report), version)
    submission = evaluation.submission
    with transaction.atomic():
        board_moves(submission.contest_id)
        current = Evaluation.objects.select_for_update().get(pk=evaluation.pk).score
        if current and current.version_id == version.pk and _same(current, fields):
            return None
        score = Score.objects.create(
            evaluation=evaluation,
            version=version,
            team_id=submission.team_id,
            by=by,
            reason=reason,
            **fields,
        )
        Evaluation.objects.filter(pk=evaluation.pk, status=Status.SCORED).update(score=score)
    return score


def score_fields(report: Report, version: ContestVersion) -> dict[str, object]:
    """The columns of a ``Score`` row for a report under a version of the contest, both parts.

    Raises:
        ScoreError: the report lacks what the formula needs.
    """
    public = _part(report, version, "public")
    private = _part(report, version, "private") if has_private(version.rules) else {}
    return {
        "formula": version.rules.scoring.formula,
        "safetensors_bytes": report.memory.checkpoint_bytes,
        **public,
        "private_replicates": private.pop("replicates", b""),
        "private": private or None,
    }


def _part(report: Report, version: ContestVersion, part: Part) -> dict[str, Any]:
    result = formula.score(report, version.rules, part=part)
    return {
        "value": result.value,
        "half_width": result.half_width,
        "terms": [{**encode(term), "points": term.points} for term in result.terms],
        "speedup": 1.0 / result.term("speed").measured,
        "accuracy": result.term("accuracy").measured,
        "replicates": result.replicates,
    }


def _same(row: Score, fields: dict[str, object]) -> bool:
    return (row.value, row.private) == (fields["value"], fields["private"])
