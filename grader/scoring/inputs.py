"""The inputs of a score: the few columns of a report that the formula reads.

Taken from a :class:`Report`, or straight from the JSON of one that was checked when it arrived: rescoring reads
tens of thousands of these, and building all of a report's objects takes ten times as long as the bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.protocol.documents import Report


@dataclass(frozen=True, slots=True)
class Answers:
    """One benchmark's questions as columns, for the candidate (``values``) and the base model."""

    doc_ids: Sequence[int]
    hashes: Sequence[str]
    values: Sequence[float]
    base_values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Measurements:
    """The columns that the formula reads.

    Attributes:
        answers: by benchmark.
        log_ratios: ln(base time / candidate time) of the rounds, by load shape.
    """

    answers: Mapping[str, Answers]
    checkpoint_bytes: int
    base_bytes: int
    log_ratios: Mapping[str, Sequence[float]]


def of(report: Report | Measurements) -> Measurements:
    """Return the measurements of a report; existing inputs are returned unchanged."""
    if isinstance(report, Measurements):
        return report
    return Measurements(
        answers={
            result.benchmark: Answers(
                [item.doc_id for item in result.items],
                [item.doc_hash for item in result.items],
                [item.value for item in result.items],
                [item.base_value for item in result.items],
            )
            for result in report.quality
        },
        checkpoint_bytes=report.memory.checkpoint_bytes,
        base_bytes=report.memory.base_bytes,
        log_ratios={
            result.shape: [one.log_ratio for one in result.rounds] for result in report.speed
        },
    )


def of_document(report: Mapping[str, Any]) -> Measurements:
    """Return the measurements from a report's JSON.

    Raises:
        KeyError: it is not the JSON of a report.
    """
    return Measurements(
        answers={
            result["benchmark"]: Answers(
                [item["doc_id"] for item in result["items"]],
                [item["doc_hash"] for item in result["items"]],
                [float(item["value"]) for item in result["items"]],
                [float(item["base_value"]) for item in result["items"]],
            )
            for result in report["quality"]
        },
        checkpoint_bytes=report["memory"]["checkpoint_bytes"],
        base_bytes=report["memory"]["base_bytes"],
        log_ratios={
            result["shape"]: [
                math.log(one["base_s"] / one["candidate_s"]) for one in result["rounds"]
            ]
            for result in report["speed"]
        },
    )
