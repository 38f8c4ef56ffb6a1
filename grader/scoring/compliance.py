"""Compliance checks of a grade for organizers: the measured value, the limit, and whether it passed.

A flag is a reason to look, never a verdict. It changes no score, and no team sees it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from grader.contest import Contest
from grader.protocol.documents import Check, Item, Report, SpeedResult
from grader.scoring import memorization
from grader.scoring.aa import MIN_USUAL
from grader.scoring.parts import questions
from grader.scoring.stats import sign_test, trimmed_interval


def checks(report: Report, contest: Contest) -> list[Check]:
    """Return every check of one grade: what the worker found, and what follows from its measurements."""
    return [
        *report.checks,
        *public_private_gap(report, contest),
        *memorization.checks(report, contest),
    ]


def public_private_gap(report: Report, contest: Contest) -> list[Check]:
    """For each benchmark: how much more the candidate gained over the base model on public questions than on
    private.

    The difference in differences Δ = (C_pub − C_priv) − (R_pub − R_priv): if one part is harder, this affects
    both models' answers and cancels out. Flagged when Δ is above ``gap`` and a one-sided normal test
    gives p below ``gap_p``.
    """
    limits, found = contest.compliance, []
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
        found.append(Check("FLAG_GAP", benchmark.id, gap, limits.gap, flagged, f"p = {p:.2g}"))
    return found


def repeatability(report: Report, other: Report, contest: Contest) -> list[Check]:
    """C06: checks that two grades of one checkpoint agree: accuracy within McNemar noise, and overlapping
    speedups.

    For each benchmark, this is the exact two-sided p-value over the questions with different results; for each
    load shape, the distance of the two log ratios relative to the sum of their half-widths. Anything missing in
    one report is left out.
    """
    found = []
    earlier = {result.benchmark: result for result in other.quality}
    for result in report.quality:
        if result.benchmark not in earlier:
            continue
        before = {item.doc_hash: item.value for item in earlier[result.benchmark].items}
        changes = [
            item.value - before[item.doc_hash] for item in result.items if item.doc_hash in before
        ]
        won, lost = sum(c > 0 for c in changes), sum(c < 0 for c in changes)
        p = min(1.0, 2 * sign_test(max(won, lost), min(won, lost)))
        limit = contest.compliance.repeat_p
        detail = f"+{won} −{lost} of {len(changes)}, {other.system.worker}"
        found.append(Check("FLAG_REPEAT", result.benchmark, p, limit, p < limit, detail))
    shapes = {result.shape: result for result in other.speed}
    for timed in report.speed:
        if timed.shape in shapes and min(len(timed.rounds), len(shapes[timed.shape].rounds)) > 1:
            found.append(_agreement(timed, shapes[timed.shape], other.system.worker))
    return found


def base_times(report: Report) -> dict[str, float]:
    """Return the base model's median time of a round, by load shape, in seconds."""
    return {
        result.shape: statistics.median(one.base_s for one in result.rounds)
        for result in report.speed
        if result.rounds
    }


def base_slowdown(
    report: Report, usual_s: Mapping[str, Sequence[float]], contest: Contest
) -> list[Check]:
    """Check that the base model was not slower than it usually is on this worker.

    The speed-up is relative to the base model on the same machine, so slowing that down is as good as being
    fast. Flagged above the tolerance that the worker itself is held to in its A/A tests.

    Args:
        usual_s: by load shape, the base model's times in other grades on this worker; too few are not compared.
    """
    found, limit = [], contest.aa.base_time_tolerance
    for shape, base_s in base_times(report).items():
        earlier = usual_s.get(shape, ())
        if len(earlier) < MIN_USUAL:
            continue
        usual = statistics.median(earlier)
        slowdown = base_s / usual - 1
        detail = f"{base_s:.3f} s, usually {usual:.3f} s (n = {len(earlier)})"
        found.append(Check("FLAG_BASE_TIME", shape, slowdown, limit, slowdown > limit, detail))
    return found


def _agreement(timed: SpeedResult, other: SpeedResult, worker: str) -> Check:
    (mean, half), (before, half_before) = (
        trimmed_interval([r.log_ratio for r in result.rounds]) for result in (timed, other)
    )
    distance, limit = abs(mean - before), half + half_before
    detail = f"×{math.exp(before):.3f} → ×{math.exp(mean):.3f}, {worker}"
    return Check("FLAG_REPEAT", timed.shape, distance, limit, distance > limit, detail)


def _differences(items: Sequence[Item]) -> list[float]:
    return [item.value - item.base_value for item in items]
