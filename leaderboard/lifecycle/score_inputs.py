"""The part of a report that the formula reads: packed when the report is stored, loaded by the thousands."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from grader.scoring import inputs, packing
from grader.scoring.inputs import Measurements
from grader.scoring.packing import Packed
from leaderboard.models import Result, ScoreInputs, SharedInput


def score_inputs(evaluations: Collection[int]) -> dict[int, Measurements]:
    """Score inputs of the evaluations that have a report. A report from an older release is packed on the way.

    Raises:
        KeyError: a stored report is malformed.
    """
    rows = ScoreInputs.objects.in_bulk(evaluations)
    for pk in evaluations:
        if pk not in rows:
            rows.update(_from_report(pk))
    return {pk: _unpacked(row) for pk, row in rows.items()}


def _from_report(pk: int) -> dict[int, ScoreInputs]:
    result = Result.objects.filter(pk=pk).first()
    return {} if result is None else {pk: keep_inputs(pk, inputs.of_document(result.report))}


def keep_inputs(evaluation_id: int, found: Measurements) -> ScoreInputs:
    packed, shared = packing.pack(found)
    keep_shared(shared)
    columns = {one.name: getattr(packed, one.name) for one in fields(Packed)}
    return ScoreInputs.objects.create(evaluation_id=evaluation_id, **columns)


def keep_shared(shared: Mapping[str, bytes]) -> None:
    """Store what is not stored yet."""
    known = SharedInput.objects.filter(pk__in=shared).values_list("pk", flat=True)
    new = [
        SharedInput(sha256=sha256, content=shared[sha256]) for sha256 in shared.keys() - set(known)
    ]
    SharedInput.objects.bulk_create(new, ignore_conflicts=True)


def _unpacked(row: ScoreInputs) -> Measurements:
    columns = {one.name: getattr(row, one.name) for one in fields(Packed)}
    columns["values"] = bytes(row.values)
    return packing.unpack(Packed(**columns), _questions, _base)


# A contest has a handful of question lists and base runs; the content for a digest never changes.
@lru_cache(maxsize=64)
def _questions(sha256: str) -> packing.Questions:
    return packing.questions_of(content_of(sha256))


@lru_cache(maxsize=256)
def _base(sha256: str, count: int) -> Any:
    return packing.numbers_of(content_of(sha256), count)


def content_of(sha256: str) -> bytes:
    content = bytes(SharedInput.objects.get(pk=sha256).content)
    assert hashlib.sha256(content).hexdigest() == sha256, "the database never changes it"
    return content
