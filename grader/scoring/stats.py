"""The statistics that the grader needs, with the standard library only."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

# Student's t, two-sided 95 %, for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods,
# table 1.3.6.7.2, column 0.975).
_T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
Z975 = 1.959964
TRIM = 0.2


def t_quantile_975(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t: from the table, and from 31 on by Abramowitz and Stegun
    26.7.5.
    """
    if degrees < 1:
        raise ValueError("needs at least one degree of freedom")
    if degrees <= len(_T_975):
        return _T_975[degrees - 1]
    z, n = Z975, float(degrees)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3


def kept(n: int) -> slice:
    """Return which of ``n`` ordered values a 20 % trimmed mean keeps: all but the lowest and the highest
    fifth."""
    cut = int(TRIM * n)
    return slice(cut, n - cut)


def trimmed_mean(values: Sequence[float]) -> float:
    """Return the mean without the lowest and the highest fifth.

    If another process on the machine wakes up, it affects one half of one pair and creates an outlier in either
    direction. The plain mean follows the outlier; the trimmed mean does not, and loses little without outliers.
    """
    return statistics.fmean(sorted(values)[kept(len(values))])


def trimmed_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the trimmed mean and half-width of its 95 % interval; the half-width of a single value is
    infinite.

    Standard error from the winsorized variance (Tukey and McLaughlin 1963; Wilcox, "Introduction to Robust
    Estimation and Hypothesis Testing", section 4.3): s_w / ((1 − 2·0.2)·√n), with h − 1 degrees of freedom
    for h values kept. With up to 4 values nothing is trimmed, and this is Student's interval.
    """
    n = len(values)
    if n < 2:
        return trimmed_mean(values), math.inf
    ordered, middle = sorted(values), kept(n)
    low, high = ordered[middle.start], ordered[middle.stop - 1]
    winsorised = [min(max(value, low), high) for value in ordered]
    h = middle.stop - middle.start
    error = statistics.stdev(winsorised) * math.sqrt(n) / h
    return trimmed_mean(values), t_quantile_975(h - 1) * error


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of ``values`` lie, linear between neighbors as in
    numpy."""
    if not values or not 0 <= share <= 1:
        raise ValueError("needs values and a share between 0 and 1")
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def sign_test(won: int, lost: int) -> float:
    """One-sided p-value of at least ``won`` of ``won + lost`` fair coin tosses: exact, as in McNemar's test."""
    n = won + lost
    return sum(math.comb(n, k) for k in range(won, n + 1)) / (1 << n)
