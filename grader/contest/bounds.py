"""The few limits that several parts of a contest file share."""

from __future__ import annotations

import math

from grader.schema import SchemaError


def share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise SchemaError(name, f"{value:g} is not between 0 and 1")


def unique(where: str, ids: list[str]) -> None:
    if not ids:
        raise SchemaError(where, "at least one is needed")
    if len(set(ids)) != len(ids):
        raise SchemaError(where, "two share an id")


def sums_to_one(where: str, weights: list[float]) -> None:
    if not math.isclose(sum(weights), 1.0, abs_tol=1e-9):
        raise SchemaError(where, f"the weights sum to {sum(weights):g}, not 1")
