"""Checks that weights derive from the base model's, by the cosine of dequantized samples, balanced for scaling.

Smoothing and AWQ multiply a layer's rows and columns by constants and divide a neighbor's by the same; only
the matrix up to such a scaling is preserved. Both samples are therefore balanced first: rows and columns are
normalized in turn, which gives the same result for every scaling of a matrix (Sinkhorn and Knopp, 1967, on
squares). Where heads or channels were pruned, the rows or columns that are left are looked for in the base
model's.
"""

from __future__ import annotations

import logging
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from grader.worker.measure.weight_reading import Weights

TENSORS, ROWS = 64, 64
TALL = 256  # rows of a column that is looked for: by chance, two columns of 64 numbers are too much alike
MOST = 1 << 28  # numbers of a matrix that is searched; embeddings of large models are not
_log = logging.getLogger(__name__)


class Likeness(NamedTuple):
    """The median similarity; None if nothing could be compared.

    Attributes:
        compared: how many of ``total`` sampled matrices could be.
    """

    value: float | None
    compared: int
    total: int

    @property
    def is_known(self) -> bool:
        """Return whether at least half of the sampled matrices could be compared."""
        return self.value is not None and 2 * self.compared >= self.total


def cosine(candidate: Path, base: Path, enough: float) -> Likeness:
    """Compare sampled matrices with the base model's.

    A layer whose similarity to its counterpart is below ``enough`` is also compared with the base model's other
    layers, and the best one counts, because layers shift when others are removed.
    """
    import torch

    threads = torch.get_num_threads()
    # Small matrices: more threads would only wait for each other, next to two engines
    torch.set_num_threads(1)
    try:
        with Weights(candidate) as own, Weights(base) as known:
            modules = own.modules()
            chosen = modules[:: max(1, -(-len(modules) // TENSORS))]
            found = [best for m in chosen if (best := _tried(own, known, m, enough)) is not None]
    finally:
        torch.set_num_threads(threads)
    return Likeness(statistics.median(found) if found else None, len(found), len(chosen))


def _tried(own: Weights, known: Weights, module: str, enough: float) -> float | None:
    """Compare one matrix. The team may have stored anything; what breaks the comparison is not comparable."""
    try:
        return _best(own, known, module, enough)
    except Exception:
        _log.warning("%s cannot be compared", module, exc_info=True)
        return None


def _best(own: Weights, known: Weights, module: str, enough: float) -> float | None:
    best = None
    for other in known.namesakes(module):
        value = _alike(own, known, module, other)
        if value is None:
            continue
        best = value if best is None else max(best, value)
        if best >= enough:
            break
    return best


def _alike(own: Weights, known: Weights, module: str, other: str) -> float | None:
    shape, base = own.shape(module), known.shape(other)
    if shape is None or base is None:
        return None
    if shape == base:
        return _cosine(own.rows(module, ROWS), known.rows(other, ROWS))
    if shape[1] == base[1] and shape[0] < base[0] and base[0] * base[1] <= MOST:
        return _found_again(own.rows(module, ROWS), known.rows(other, base[0]))
    if shape[0] == base[0] and shape[1] < base[1]:
        return _found_again(own.rows(module, TALL).T[:ROWS], known.rows(other, TALL).T)
    return None


def _cosine(own: Any, base: Any) -> float:
    a, b = _balanced(own).flatten(), _balanced(base).flatten()
    return float(a @ b / (a.norm() * b.norm()).clamp_min(1e-12))


def _found_again(vectors: Any, among: Any) -> float:
    """Return the median over ``vectors`` of the cosine with the most similar one of ``among``."""
    a, b = (v / v.norm(dim=1, keepdim=True).clamp_min(1e-12) for v in (vectors, among))
    return float((a @ b.T).amax(dim=1).median())


def _balanced(matrix: Any) -> Any:
    for _ in range(10):
        matrix = matrix / matrix.norm(dim=1, keepdim=True).clamp_min(1e-12)
        matrix = matrix / matrix.norm(dim=0, keepdim=True).clamp_min(1e-12)
    return matrix
