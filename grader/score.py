"""From a report to a score: three terms relative to the base model, each with an interval, then a weighted sum.

    accuracy = Σ w_b · candidate_b / Σ w_b · base_b     over the contest's benchmarks b
    memory   = 1 − bytes / bytes of the base model
    speed    = 1 − t / t of the base model              t: time for the same fixed work
    score    = max(0, a·accuracy + m·memory + s·speed)

The base model itself has accuracy 1, memory 0, speed 0. Intervals are 95 % and come from a bootstrap over
questions (paired with the base model's answers) and over speed rounds (paired by construction).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from grader.contest import Contest, Formula
from grader.report import Report

RESAMPLES = 1000
Z95 = 1.959964


class ScoreError(ValueError):
    """The report does not hold what the contest's formula needs."""


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the formula.

    Attributes:
        name: ``accuracy``, ``memory`` or ``speed``.
        value: as in the formula; ``half_width`` of its 95 % interval.
        measured, base: what it was computed from (accuracy 0–1, bytes, seconds-ratio against 1).
    """

    name: str
    value: float
    half_width: float
    measured: float
    base: float
    weight: float = 0.0

    @property
    def points(self) -> float:
        """What the term adds to the score."""
        return self.weight * self.value


@dataclass(frozen=True, slots=True)
class Score:
    """The number that ranks, and all it is made of."""

    value: float
    half_width: float
    terms: tuple[Term, ...]

    def term(self, name: str) -> Term:
        return next(term for term in self.terms if term.name == name)


def score(report: Report, contest: Contest, formula: Formula | None = None) -> Score:
    """Apply ``formula`` (the contest's current one if not given) to a report.

    Raises:
        ScoreError: a benchmark or speed shape of the contest is missing from the report, or the base model
            scored nothing, so that a ratio has no meaning.
    """
    terms = (_accuracy(report, contest), _memory(report), _speed(report, contest))
    return combine(terms, formula or contest.formula)


def combine(terms: Sequence[Term], formula: Formula) -> Score:
    """The weighted sum. Questions, bytes and rounds are independent, so half-widths add in quadrature."""
    weighted = tuple(
        Term(t.name, t.value, t.half_width, t.measured, t.base, getattr(formula, t.name))
        for t in terms
    )
    value = max(0.0, math.fsum(term.points for term in weighted))
    half_width = math.hypot(*(term.weight * term.half_width for term in weighted))
    return Score(value, half_width, weighted)


def _accuracy(report: Report, contest: Contest) -> Term:
    results = {result.benchmark: result for result in report.quality}
    parts: list[tuple[float, list[tuple[float, float]]]] = []
    for benchmark in contest.benchmarks:
        result = results.get(benchmark.id)
        if result is None or not result.items:
            raise ScoreError(f"benchmark {benchmark.id} is missing from the report")
        parts.append((benchmark.weight, [(i.value, i.base_value) for i in result.items]))
    own = math.fsum(w * _mean([v for v, _ in pairs]) for w, pairs in parts)
    base = math.fsum(w * _mean([b for _, b in pairs]) for w, pairs in parts)
    if base <= 0:
        raise ScoreError("the base model answered nothing right: accuracy has no denominator")
    generator = random.Random(
        report.checkpoint.content_sha256
    )  # the same report, the same interval
    means = [_resampled_means(pairs, generator) for _, pairs in parts]
    ratios = []
    for drawn in zip(*means, strict=True):
        below = math.fsum(w * b for (w, _), (_, b) in zip(parts, drawn, strict=True))
        above = math.fsum(w * v for (w, _), (v, _) in zip(parts, drawn, strict=True))
        ratios.append(above / below if below > 0 else 0.0)
    return Term("accuracy", own / base, _half_width(ratios), own, base)


def _memory(report: Report) -> Term:
    own, base = report.memory.checkpoint_bytes, report.memory.base_bytes
    return Term("memory", 1.0 - own / base, 0.0, float(own), float(base))


def _speed(report: Report, contest: Contest) -> Term:
    results = {result.shape: result for result in report.speed}
    mean, parts = 0.0, []
    for shape in contest.speed.shapes:
        result = results.get(shape.id)
        if result is None or len(result.rounds) < 2:
            raise ScoreError(f"speed shape {shape.id} is missing from the report")
        ratios = [r.log_ratio for r in result.rounds]
        mean += shape.weight * _mean(ratios)
        parts.append((shape.weight, ratios))
    generator = random.Random(report.checkpoint.content_sha256)
    drawn = [
        1.0 - math.exp(-math.fsum(w * _mean(generator.choices(r, k=len(r))) for w, r in parts))
        for _ in range(RESAMPLES)
    ]
    # A bootstrap over few rounds is too narrow by sqrt((k-1)/k); the smallest shape decides.
    fewest = min(len(ratios) for _, ratios in parts)
    widen = math.sqrt(fewest / (fewest - 1))
    time_ratio = math.exp(-mean)
    return Term("speed", 1.0 - time_ratio, widen * _half_width(drawn), time_ratio, 1.0)


def _resampled_means(
    pairs: list[tuple[float, float]], generator: random.Random
) -> list[tuple[float, float]]:
    """Bootstrap replicates of (candidate mean, base mean); drawn over distinct pairs, of which 0/1 has four."""
    counts = Counter(pairs)
    kinds, weights, n = list(counts), list(counts.values()), len(pairs)
    means = []
    for _ in range(RESAMPLES):
        drawn = Counter(generator.choices(kinds, weights=weights, k=n))
        means.append(
            (
                math.fsum(v * c for (v, _), c in drawn.items()) / n,
                math.fsum(b * c for (_, b), c in drawn.items()) / n,
            )
        )
    return means


def _half_width(replicates: list[float]) -> float:
    """Half of the central 95 % range of bootstrap replicates."""
    ordered = sorted(replicates)
    low = ordered[int(0.025 * (len(ordered) - 1))]
    high = ordered[math.ceil(0.975 * (len(ordered) - 1))]
    return (high - low) / 2


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


@dataclass(frozen=True, slots=True)
class Standing:
    """A place among entries.

    Attributes:
        rank: 1 + the counted entries above.
        best, worst: the ranks that the intervals leave open: only entries that are clearly better, or clearly
            worse, are certain to be above or below.
        tied: not clearly behind the entry above.
    """

    rank: int
    best: int
    worst: int
    tied: bool


def rank(entries: Sequence[tuple[float, float]], counted: Sequence[bool]) -> list[Standing]:
    """Standings for (score, half_width) pairs that are already in the order of :func:`order_key`.

    Two scores differ clearly when their difference exceeds the half-width of the difference, ``hypot`` of the
    two half-widths. Entries share their questions, so this errs towards calling a tie. Rank intervals as in
    the "rank (upper bound)" of Chatbot Arena, arXiv 2403.04132, towards both sides.

    Args:
        counted: whether an entry counts for the ranks of the others; organisers' entries do not.
    """
    standings: list[Standing] = []
    others = [entry for entry, counts in zip(entries, counted, strict=True) if counts]
    above = 0
    for place, (entry, counts) in enumerate(zip(entries, counted, strict=True)):
        better = sum(_clearly_above(other, entry) for other in others)
        worse = sum(_clearly_above(entry, other) for other in others)
        everyone = len(others) + (not counts)
        tied = place > 0 and not _clearly_above(entries[place - 1], entry)
        standings.append(Standing(above + 1, better + 1, everyone - worse, tied))
        above += counts
    return standings


def _clearly_above(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return first[0] - second[0] > math.hypot(first[1], second[1])


def order_key(value: float, safetensors_bytes: int, submitted: float) -> tuple[float, int, float]:
    """Best first; equal scores: the smaller checkpoint, then the earlier submission. Published in the rules."""
    return (-value, safetensors_bytes, submitted)
