"""Tells a model that learned a benchmark's questions, by comparing them with fresh twins.

Twins are questions of the same kind that nobody outside has seen. Compression makes right answers a little
less likely everywhere, and training for the kind of question makes them likelier everywhere; only knowing the
questions themselves makes the benchmark easier than its twins. Both findings are a difference in differences,
in which what makes one set harder for both models cancels out:

    d = candidate − base model, of one question
    z = (mean d of the benchmark − mean d of its twins) / standard error

``FLAG_LEARNED``: d is the negative log-likelihood per token of the right answer. It finds memorized answers
long before they show in the accuracy. ``FLAG_FRESH``: d is what the metric lost. It also finds a model that
learned to answer in words of its own.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from grader.contest import Contest
from grader.protocol.documents import Check, Report
from grader.scoring.parts import questions

# Standard errors smaller than this are rounding of the engine's numbers.
LEAST_ERROR = 1e-6
# Of what a model lost on twins: more than this on the benchmark, and it did not learn the questions.
LOST_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Gap:
    """Both means of d, and their distance in standard errors: negative if the benchmark's is lower."""

    benchmark: float
    twins: float
    z: float
    counts: tuple[int, int]


def gap(benchmark: Sequence[float], twins: Sequence[float]) -> Gap | None:
    """Compare the differences of a benchmark's questions with its twins'. None: too few to say anything."""
    if min(len(benchmark), len(twins)) < 2:
        return None
    means = statistics.fmean(benchmark), statistics.fmean(twins)
    error = math.sqrt(sum(statistics.variance(part) / len(part) for part in (benchmark, twins)))
    z = (means[0] - means[1]) / max(error, LEAST_ERROR)
    return Gap(*means, z, (len(benchmark), len(twins)))


def checks(report: Report, contest: Contest) -> list[Check]:
    """Return both findings for every benchmark that has a twin, as far as the report has what they need."""
    found = []
    for original, twin in contest.twins:
        found += [
            _learned(report, contest, original, twin),
            _fresh(report, contest, original, twin),
        ]
    return [check for check in found if check is not None]


def _learned(report: Report, contest: Contest, original: str, twin: str) -> Check | None:
    differences = {
        result.benchmark: [item.nll - item.base_nll for item in result.items]
        for result in report.likelihoods
    }
    one = gap(differences.get(original, ()), differences.get(twin, ()))
    if one is None:
        return None
    limit = -contest.compliance.learned_z
    # A badly damaged model may lose somewhat more on twins with rarer numbers. One that learned the questions
    # gains on them or loses far less, even one too small to know the answers as well as the base model does.
    flagged = one.z <= limit and one.benchmark < one.twins * LOST_SHARE
    n, m = one.counts
    words = {
        "en": f"{_signed(one.benchmark)} nats per token on {n} questions, "
        f"{_signed(one.twins)} on {m} fresh ones",
        "ko": f"문항 {n}개에서 토큰당 {_signed(one.benchmark)} nat, "
        f"새 문항 {m}개에서 {_signed(one.twins)} nat",
    }
    return Check("FLAG_LEARNED", original, one.z, limit, flagged, words=words)


def _fresh(report: Report, contest: Contest, original: str, twin: str) -> Check | None:
    results = {result.benchmark: result.items for result in report.quality}
    benchmarks = {benchmark.id: benchmark for benchmark in contest.benchmarks}
    differences = [
        [
            item.base_value - item.value  # as a loss, like the other one
            for item in questions(contest, benchmarks[name], results.get(name, ()), "all")
        ]
        for name in (original, twin)
    ]
    one = gap(*differences)
    if one is None:
        return None
    limit = -contest.compliance.learned_z
    flagged = one.z <= limit
    n, m = one.counts
    own, fresh = _signed(-100 * one.benchmark, 1), _signed(-100 * one.twins, 1)
    words = {
        "en": f"{own} points on {n} questions, {fresh} on {m} fresh ones",
        "ko": f"문항 {n}개에서 {own}점, 새 문항 {m}개에서 {fresh}점",
    }
    return Check("FLAG_FRESH", original, one.z, limit, flagged, words=words)


def _signed(value: float, digits: int = 3) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")  # + 0.0: no minus zero
