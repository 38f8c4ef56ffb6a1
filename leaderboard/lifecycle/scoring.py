"""Applying the formula to a stored report: the columns of a score, and rescoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from grader.protocol.documents import Report
from grader.scoring import inputs
from grader.scoring import score as formula
from grader.scoring.inputs import Measurements
from grader.scoring.score import ScoreError
from leaderboard.lifecycle.board import board_moves
from leaderboard.lifecycle.guard import Status
from leaderboard.lifecycle.score_inputs import score_inputs
from leaderboard.models import (
    ContestVersion,
    Evaluation,
    Score,
)


def rescore(
    evaluation: Evaluation, version: ContestVersion, *, by: str, reason: str
) -> Score | None:
    """Apply the formula of ``version`` to the stored report; append the score and make it current.

    Returns None if the evaluation has no result or its score would not change.
    """
    found = score_inputs([evaluation.pk]).get(evaluation.pk)
    if found is None:
        return None
    fields = score_fields(found, version)
    with transaction.atomic():
        board_moves(version.contest_id)
        rows = Evaluation.objects.select_for_update(of=("self",)).select_related("submission")
        current = rows.get(pk=evaluation.pk)
        if is_same(current.score, fields, version):
            return None
        score = append_score(current, version, fields, by=by, reason=reason)
        Evaluation.objects.filter(pk=evaluation.pk, status=Status.SCORED).update(score=score)
    return score


def score_row(
    evaluation_id: int,
    team_id: int | None,
    version: ContestVersion,
    fields: dict[str, Any],
    *,
    by: str = "",
    reason: str = "",
) -> Score:
    """An unsaved ``Score`` from the columns of :func:`score_fields`. The only place that builds one.

    Args:
        by, reason: for a score that follows another; empty for the first.
    """
    return Score(
        evaluation_id=evaluation_id,
        team_id=team_id,
        version=version,
        by=by,
        reason=reason[:200],
        **fields,
    )


def append_score(
    evaluation: Evaluation, version: ContestVersion, fields: dict[str, Any], **why: str
) -> Score:
    """The same, saved."""
    row = score_row(evaluation.pk, evaluation.submission.team_id, version, fields, **why)
    return Score.objects.bulk_create([row])[0]


def is_same(score: Score | None, fields: dict[str, Any], version: ContestVersion) -> bool:
    """Whether a score under a version already has these columns, so that nothing needs to be appended.

    Replicates are not compared, because they follow from the other columns.
    """
    if score is None or score.version_id != version.pk:
        return False
    return all(
        getattr(score, name) == value
        for name, value in fields.items()
        if name not in ("replicates", "private_replicates")
    )


def score_fields(report: Report | Measurements, version: ContestVersion) -> dict[str, Any]:
    """The columns of a ``Score`` row for a report under a version of the contest, both parts.

    Raises:
        ScoreError: the report lacks what the formula needs.
    """
    (fields,) = _fields_of_many([inputs.of(report)], version)
    return fields


def score_fields_of_many(
    found: Mapping[int, Measurements], version: ContestVersion
) -> dict[int, dict[str, Any] | ScoreError]:
    """The same for many evaluations: the columns of each, or the reason it has none."""
    try:
        return dict(zip(found, _fields_of_many(list(found.values()), version), strict=True))
    except ScoreError:  # one of them failed, so score them one by one
        return {pk: _fields_or_error(one, version) for pk, one in found.items()}


def _fields_or_error(found: Measurements, version: ContestVersion) -> dict[str, Any] | ScoreError:
    try:
        return score_fields(found, version)
    except ScoreError as error:
        return error


def _fields_of_many(found: Sequence[Measurements], version: ContestVersion) -> list[dict[str, Any]]:
    rules = version.rules
    return [
        {
            "formula": rules.scoring.formula,
            "safetensors_bytes": one.checkpoint_bytes,
            **_columns(public),
            "replicates": public.replicates,
            "private_replicates": private.replicates if private else b"",
            "private": _columns(private) if private else None,
        }
        for one, (public, private) in zip(found, formula.many(found, rules), strict=True)
    ]


def _columns(result: formula.Score) -> dict[str, Any]:
    return {
        "value": result.value,
        "half_width": result.half_width,
        "terms": [_term(term) for term in result.terms],
        "speedup": 1.0 / result.term("speed").measured,
        "accuracy": result.term("accuracy").measured,
    }


def _term(term: formula.Term) -> dict[str, Any]:
    """``encode(term)`` with its points, without the generic code: a rescore calls it 100,000 times.

    ``capped`` is there only if it is, so rows from before the cap compare as equal; cap and interval without it
    only where it narrows the interval.
    """
    kept = (name for name in term.__slots__ if name not in ("cap", "open_half_width"))
    fields = {name: getattr(term, name) for name in kept} | {"points": term.points}
    if term.open_half_width:
        fields |= {"cap": term.cap, "open_half_width": term.open_half_width}
    return fields | ({"capped": True} if term.capped else {})
