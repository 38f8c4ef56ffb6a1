"""Scores of many reports under other weights, from stored replicates of their terms: no report is read again.

Only where the terms themselves stay as they are (``Contest.terms_sha256``). The numbers are bit for bit those
that :func:`grader.scoring.score.score` makes of the reports: it too computes from replicates as they are
stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from grader.contest import Formula

# One report: value of each term by name, and the packed replicates of accuracy and speed.
Measured = tuple[dict[str, float], bytes, bytes]


def reweigh(measured: Sequence[Measured], formula: Formula) -> list[tuple[float, float, bytes]]:
    """Value, half-width and packed replicates of each report's score under ``formula``."""
    import numpy as np

    if not measured:
        return []

    def matrix(column: int) -> Any:
        joined = b"".join(one[column] for one in measured)  # type: ignore[misc]
        return np.frombuffer(joined, "<f4").reshape(len(measured), -1)

    memory = np.array([formula.memory * values["memory"] for values, _, _ in measured], "<f4")
    drawn = formula.accuracy * matrix(1)
    drawn += memory[:, None]
    drawn += formula.speed * matrix(2)
    drawn = drawn.clip(min=0.0)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=1)
    packed = drawn.astype("<f4")
    return [
        (
            max(0.0, math.fsum(getattr(formula, name) * value for name, value in values.items())),
            float(high[i] - low[i]) / 2,
            packed[i].tobytes(),
        )
        for i, (values, _, _) in enumerate(measured)
    ]
