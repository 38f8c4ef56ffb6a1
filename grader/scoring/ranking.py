"""Ranks, rank intervals and ties, which show how much of the ranking the measurement supports.

Two entries are compared by the difference of their scores over the variance of that difference, which comes
from bootstrap replicates drawn over the same questions for everyone (:mod:`grader.scoring.bootstrap`).
Questions that are hard or easy for both cancel out, so a paired comparison can distinguish entries whose
intervals overlap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from grader.scoring.stats import Z975

ALPHA = 0.05


class Contender(NamedTuple):
    """A score with its 95 % half-width and replicates (packed float32).

    Without replicates it is compared as independent of all others.
    """

    value: float
    half_width: float
    replicates: bytes = b""


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry's position on the board.

    Attributes:
        rank: 1 + the number of counted entries above.
        best, worst: the range of ranks the measurement allows: only clearly better or clearly worse entries are
            certain to be above or below.
        tied: not clearly behind the entry above.
    """

    rank: int
    best: int
    worst: int
    tied: bool


def rank(entries: Sequence[Contender], counted: Sequence[bool]) -> list[Standing]:
    """Return standings for entries already sorted by :func:`order_key`.

    Rank intervals: pairs at 95 % each, in both directions as in the "rank (upper bound)" of Chatbot Arena,
    arXiv 2403.04132. Ties with the row above: all rows of the board together at 95 %, by Holm's procedure.

    Args:
        counted: whether an entry counts toward the ranks of others; organizers' entries do not.
    """
    import numpy as np

    if not entries:
        return []
    counts = np.array(counted, bool)
    z = _z_scores(entries)
    better, worse = z < -Z975, z > Z975  # for row i: which are clearly better, which clearly worse
    best = 1 + (better & counts).sum(axis=1)
    everyone = counts.sum() + ~counts
    worst = everyone - (worse & counts).sum(axis=1)
    above = np.concatenate([[0], np.cumsum(counts)[:-1]])
    apart = _holm([math.erfc(z[i, i + 1] / math.sqrt(2)) for i in range(len(entries) - 1)])
    return [
        Standing(int(above[i]) + 1, int(best[i]), int(worst[i]), i > 0 and not apart[i - 1])
        for i in range(len(entries))
    ]


def order_key(value: float, safetensors_bytes: int, submitted: float) -> tuple[float, int, float]:
    """Best first. Equal scores: the smaller checkpoint, then the earlier submission. Published in the rules."""
    return (-value, safetensors_bytes, submitted)


def _z_scores(entries: Sequence[Contender]) -> Any:
    """Return the matrix of (score of row − score of column) / standard error of that difference; equal scores:
    0.
    """
    import numpy as np

    values = np.array([entry.value for entry in entries])
    size = max(len(entry.replicates) for entry in entries) // 4
    deviations = np.zeros((len(entries), size))
    variances = np.array([(entry.half_width / Z975) ** 2 for entry in entries])
    for i, entry in enumerate(entries):
        if size and len(entry.replicates) == 4 * size:
            drawn = np.frombuffer(entry.replicates, "<f4").astype(float)
            deviations[i] = drawn - drawn.mean()
            variances[i] = (deviations[i] ** 2).mean()
    covariances = deviations @ deviations.T / max(1, size)
    squared = variances[:, None] + variances[None, :] - 2 * covariances
    errors = np.sqrt(np.maximum(squared, 1e-18))  # two identical reports differ only by rounding
    return (values[:, None] - values[None, :]) / errors


def _holm(p_values: Sequence[float]) -> list[bool]:
    """Return which hypotheses are rejected at a family-wise error rate of ``ALPHA`` (Holm, 1979)."""
    rejected = [False] * len(p_values)
    for step, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[i] > ALPHA / (len(p_values) - step):
            break
        rejected[i] = True
    return rejected
