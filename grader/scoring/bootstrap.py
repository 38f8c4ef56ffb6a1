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


def of_questions(
    benchmark: str, hashes: Sequence[str], values: Sequence[float], base_values: Sequence[float]
) -> tuple[Any, Any]:
    """Replicates of the mean of ``values`` and, over the same resampled questions, of ``base_values``."""
    import numpy as np

    counts, total = _counts(benchmark, tuple(hashes))
    both = np.array([values, base_values], np.float32)
    means = both.mean(axis=1, dtype=float)[:, None]
    # A few questions may all be left out at once; such a replicate says nothing, so it moves nothing.
    own, base = np.where(total > 0, both @ counts / np.maximum(total, 1), means)
    return own, base


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


def half_width(replicates: Any) -> float:
    """Half of the central 95 % range."""
    return half_widths([replicates])[0]


def half_widths(rows: Sequence[Any]) -> list[float]:
    """The same of several at once."""
    import numpy as np

    low, high = np.quantile(np.stack(rows), [0.025, 0.975], axis=1)
    return [float(one) / 2 for one in high - low]


def packed(replicates: Any) -> bytes:
    """For storage: float32, little-endian, 4 bytes each."""
    return bytes(replicates.astype("<f4").tobytes())


def stored(replicates: Any) -> Any:
    """With the digits that :func:`packed` keeps: what is computed from stored ones comes out the same."""
    return replicates.astype("<f4")
