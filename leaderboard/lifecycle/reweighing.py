"""The columns of scores under other weights, from stored terms and their replicates: no report is read."""

from __future__ import annotations

from typing import Any

from grader.contest import Formula
from grader.scoring.reweight import reweigh
from leaderboard.models import ContestVersion, Draws, Score

Terms = list[dict[str, Any]]


def reweighed(
    scores: list[Score], draws: dict[int, Draws], version: ContestVersion
) -> list[dict[str, Any]]:
    """What ``score_fields`` would say of the reports behind ``scores``, whose terms stay as they are."""
    formula = version.rules.formula
    kept = [draws[score.evaluation_id] for score in scores]
    public = _columns(
        [(score.terms, one.accuracy, one.speed) for score, one in zip(scores, kept, strict=True)],
        formula,
    )
    split = [i for i, score in enumerate(scores) if score.private is not None]
    private = dict(zip(split, _columns(
        [(scores[i].private["terms"], kept[i].private_accuracy, kept[i].speed) for i in split],  # type: ignore[index]
        formula,
    ), strict=True))  # fmt: skip
    found = []
    for i, (score, (columns, replicates)) in enumerate(zip(scores, public, strict=True)):
        same = {"speedup": score.speedup, "accuracy": score.accuracy}
        other, other_replicates = private.get(i, ({}, b""))
        found.append(
            {
                "formula": version.rules.scoring.formula,
                "safetensors_bytes": score.safetensors_bytes,
                **same,
                **columns,
                "replicates": replicates,
                "private": {**score.private, **other} if score.private is not None else None,
                "private_replicates": other_replicates,
            }
        )
    return found


def _columns(
    parts: list[tuple[Terms, Any, Any]], formula: Formula
) -> list[tuple[dict[str, Any], bytes]]:
    measured = [
        ({term["name"]: term["value"] for term in terms}, bytes(accuracy), bytes(speed))
        for terms, accuracy, speed in parts
    ]
    return [
        ({"value": value, "half_width": half_width, "terms": _weighted(terms, formula)}, replicates)
        for (terms, _, _), (value, half_width, replicates) in zip(
            parts, reweigh(measured, formula), strict=True
        )
    ]


def _weighted(terms: Terms, formula: Formula) -> Terms:
    weights = [getattr(formula, term["name"]) for term in terms]
    return [
        {**term, "weight": weight, "points": weight * term["value"]}
        for term, weight in zip(terms, weights, strict=True)
    ]
