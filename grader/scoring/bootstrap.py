"""Bootstrap replicates: what else could have been measured, a thousand times.

Questions are resampled with a Poisson bootstrap: in replicate b a question counts w_b times, w_b being Poisson
with mean 1 and drawn from the question's own hash. So the same question weighs the same for every team, worker
and contest version, and the difference of two teams' replicates is a *paired* bootstrap of their difference.
(Resampling shared across systems: Miller, "Adding Error Bars to Evals", arXiv 2411.00640; Poisson bootstrap:
Chamandy et al., "Estimating Uncertainty for Massive Data Streams", 2012.) Rounds of the speed test belong to
one report and are resampled as usual.

Arrays are numpy's, imported where they are made: whoever only reads scores needs no numpy.
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
    """Replicates of the mean of each row of ``values``, a matrix with a column a question.

    A row's replicates do not depend on the other rows, to the last bit: sums are exact.
    """
    import numpy as np

    counts, total = _counts(benchmark, tuple(hashes))
    means = values.mean(axis=1, dtype=float)[:, None]
    # A few questions may all be left out at once; such a replicate says nothing, so it moves nothing.
    return np.where(total > 0, _sums(values, counts) / np.maximum(total, 1), means)


def _sums(values: Any, counts: Any) -> Any:
    """``values @ counts``, every sum exact and then rounded once, in whatever order it is added up.

    Whole numbers, right and wrong answers above all, are exact in float32 up to 2^24, in half the time.
    """
    import numpy as np

    if (np.rint(values) == values).all() and np.abs(values).sum(axis=1).max() * MOST < 2**24:
        return values.astype(np.float32) @ counts
    rounded = np.rint(values * 2.0**24) / 2.0**24
    return (rounded @ counts.astype(np.float64)).astype(np.float32)


@functools.lru_cache(maxsize=32)
def _counts(benchmark: str, hashes: tuple[str, ...]) -> tuple[Any, Any]:
    """How often each question (row) counts in each replicate (column), and the sums of the columns."""
    import numpy as np

    rows = [
        hashlib.shake_256(f"{benchmark}\0{one}".encode()).digest(RESAMPLES).translate(_POISSON)
        for one in hashes
    ]
    counts = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), RESAMPLES)
    counts = counts.astype(np.float32)
    return counts, counts.sum(axis=0)


def of_rounds(log_ratios: Sequence[float]) -> Any:
    """Replicates of the trimmed mean of ``log_ratios``: rounds drawn with replacement.

    Widened for their number: a bootstrap over k values is too narrow by √((k−1)/k), and by the ratio of
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
    """``above / below``, and 0 where there is nothing below."""
    import numpy as np

    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def half_widths(rows: Any) -> list[float]:
    """Half of the central 95 % range of each row."""
    import numpy as np

    low, high = np.quantile(rows, [0.025, 0.975], axis=1)
    return [float(one) / 2 for one in high - low]


def matrix(rows: Sequence[Sequence[float]]) -> Any:
    """Rows of equal length as one array; of rows that are all the same object, one."""
    import numpy as np

    if len(rows) > 1 and all(row is rows[0] for row in rows):
        return np.asarray(rows[0])[None, :]
    return np.array(rows)


def column(values: Sequence[float]) -> Any:
    """Numbers that are the same in every replicate, with the digits that :func:`packed` keeps."""
    import numpy as np

    return np.array(values, "<f4")[:, None]


def packed(replicates: Any) -> bytes:
    """For storage: float32, little-endian, 4 bytes each."""
    return bytes(replicates.astype("<f4").tobytes())


def stored(replicates: Any) -> Any:
    """With the digits that :func:`packed` keeps: what is computed from stored ones comes out the same."""
    return replicates.astype("<f4")
