"""Bootstrap replicates: a thousand simulated repetitions of a measurement.

Questions are resampled with a Poisson bootstrap: in replicate b a question counts w_b times, where w_b is
Poisson with mean 1 and drawn from the question's own hash. So the same question weighs the same for every team,
worker and contest version, and the difference of two teams' replicates is a *paired* bootstrap of their
difference. (Resampling shared across systems: Miller, "Adding Error Bars to Evals", arXiv 2411.00640; Poisson
bootstrap: Chamandy et al., "Estimating Uncertainty for Massive Data Streams", 2012.) Rounds of the speed test
belong to one report and are resampled as usual.

numpy is imported only where arrays are created, so code that only reads scores does not need it.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from typing import Any

from grader.scoring.stats import Z975, kept, t_quantile_975

RESAMPLES = 1000
# Poisson(1) in 256ths: one byte of a hash becomes a count with mean and variance 257/256.
_POISSON = bytes([0] * 94 + [1] * 94 + [2] * 47 + [3] * 16 + [4] * 4 + [5])
MOST = max(_POISSON)


def of_questions(benchmark: str, hashes: Sequence[str], values: Any) -> Any:
    """Return replicates of the mean of each row of ``values``, a matrix with one column per question.

    Sums are exact, so a row's replicates do not depend on the other rows, to the last bit.
    """
    import numpy as np

    counts, total = _counts(benchmark, tuple(hashes))
    means = values.mean(axis=1, dtype=float)[:, None]
    # With few questions, a replicate may leave out all of them; it then has no effect.
    return np.where(total > 0, _sums(values, counts) / np.maximum(total, 1), means)


def _sums(values: Any, counts: Any) -> Any:
    """Compute ``values @ counts`` with exact sums that are rounded once, regardless of the order of addition.

    Whole numbers, in particular right and wrong answers, are exact in float32 up to 2^24, in half the time.
    """
    import numpy as np

    if (np.rint(values) == values).all() and np.abs(values).sum(axis=1).max() * MOST < 2**24:
        return values.astype(np.float32) @ counts
    rounded = np.rint(values * 2.0**24) / 2.0**24
    return (rounded @ counts.astype(np.float64)).astype(np.float32)


@functools.lru_cache(maxsize=32)
def _counts(benchmark: str, hashes: tuple[str, ...]) -> tuple[Any, Any]:
    """Return how often each question (row) counts in each replicate (column), and the sums of the columns."""
    import numpy as np

    rows = [
        hashlib.shake_256(f"{benchmark}\0{one}".encode()).digest(RESAMPLES).translate(_POISSON)
        for one in hashes
    ]
    counts = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), RESAMPLES)
    counts = counts.astype(np.float32)
    return counts, counts.sum(axis=0)


def of_rounds(log_ratios: Sequence[float]) -> Any:
    """Return replicates of the trimmed mean of ``log_ratios``, with rounds drawn with replacement.

    Widened for small numbers: a bootstrap over k values is too narrow by √((k−1)/k) and by the ratio of
    Student's t to the normal quantile. Seeded by the values, so equal reports get equal replicates.
    """
    import numpy as np

    k = len(log_ratios)
    digest = hashlib.sha256(repr(list(log_ratios)).encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    values = np.array(log_ratios)
    drawn = np.sort(values[generator.integers(0, k, (RESAMPLES, k))], axis=1)
    middle = kept(k)
    centre = np.sort(values)[middle].mean()
    widen = math.sqrt(k / (k - 1)) * t_quantile_975(middle.stop - middle.start - 1) / Z975
    return centre + widen * (drawn[:, middle].mean(axis=1) - centre)


def ratio(above: Any, below: Any) -> Any:
    """Return ``above / below``, and 0 where ``below`` is 0."""
    import numpy as np

    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def at_most(rows: Any, limits: Sequence[float]) -> Any:
    """Cut each row at its limit."""
    import numpy as np

    return np.minimum(rows, np.array(limits)[:, None])


def half_widths(rows: Any) -> list[float]:
    """Return half of the central 95 % range of each row."""
    import numpy as np

    low, high = np.quantile(rows, [0.025, 0.975], axis=1)
    return [float(one) / 2 for one in high - low]


def matrix(rows: Sequence[Sequence[float]]) -> Any:
    """Stack rows of equal length into one array; a single row if all are the same object."""
    import numpy as np

    if len(rows) > 1 and all(row is rows[0] for row in rows):
        return np.asarray(rows[0])[None, :]
    return np.array(rows)


def column(values: Sequence[float]) -> Any:
    """Return the same numbers for every replicate, with the precision that :func:`packed` keeps."""
    import numpy as np

    return np.array(values, "<f4")[:, None]


def packed(replicates: Any) -> bytes:
    """Encode for storage: float32, little-endian, 4 bytes each."""
    return bytes(replicates.astype("<f4").tobytes())


def stored(replicates: Any) -> Any:
    """Round to the precision that :func:`packed` keeps, so that results from stored replicates are
    identical."""
    return replicates.astype("<f4")
