"""What organisers are told about a grade: checks with what was measured, the limit, and whether it was passed.

A flag is a reason to look, never a verdict: it changes no score and no team sees it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from grader.contest import Contest
from grader.report import Check, Item, Report
from grader.split import questions


def public_private_gap(report: Report, contest: Contest) -> list[Check]:
    """Per benchmark: how much more the candidate gained on the base model on public questions than on private.

    The difference in differences Δ = (C_pub − C_priv) − (R_pub − R_priv): what makes one part harder than the
    other is in both models' answers and cancels. Flagged when Δ is above ``gap`` and a one-sided normal test
    gives p below ``gap_p``.
    """
    limits, checks = contest.compliance, []
    results = {result.benchmark: result for result in report.quality}
    for benchmark in contest.benchmarks:
        items = results[benchmark.id].items if benchmark.id in results else ()
        public, private = (
            _differences(questions(contest, benchmark, items, part))
            for part in ("public", "private")
        )
        if min(len(public), len(private)) < 2:
            continue
        gap = statistics.fmean(public) - statistics.fmean(private)
        error = math.sqrt(
            statistics.variance(public) / len(public) + statistics.variance(private) / len(private)
        )
        p = 0.5 * math.erfc(gap / error / math.sqrt(2)) if error else float(gap <= 0)
        flagged = gap > limits.gap and p < limits.gap_p
        checks.append(Check("FLAG_GAP", benchmark.id, gap, limits.gap, flagged, f"p = {p:.2g}"))
    return checks


def _differences(items: Sequence[Item]) -> list[float]:
    return [item.value - item.base_value for item in items]
