"""The limits that several parts of a contest file share."""

from __future__ import annotations

import math

from grader.schema import SchemaError


def share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise SchemaError(name, f"must be between 0 and 1, found {value:g}")


def unique(where: str, ids: list[str]) -> None:
    if not ids:
        raise SchemaError(where, "needs at least one entry")
    if len(set(ids)) != len(ids):
        raise SchemaError(where, "two entries have the same id")


def sums_to_one(where: str, weights: list[float]) -> None:
    if not math.isclose(sum(weights), 1.0, abs_tol=1e-9):
        raise SchemaError(where, f"weights must sum to 1, found {sum(weights):g}")
