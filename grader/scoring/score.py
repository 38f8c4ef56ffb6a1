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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from grader.contest import Contest, Formula
from grader.protocol.documents import Report
from grader.scoring import bootstrap, inputs
from grader.scoring.inputs import Measurements
from grader.scoring.parts import Part, has_private, places
from grader.scoring.stats import trimmed_mean

# Times the base model's; more is no checkpoint, but a base model that answered next to nothing.
MAX_ACCURACY = 1000


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
    """The number that ranks, and all it is made of.

    ``replicates`` are packed (:func:`grader.scoring.bootstrap.packed`); :mod:`grader.scoring.ranking`
    compares by them. ``draws`` are those of the terms that have any, by name, packed likewise: with other
    weights, :mod:`grader.scoring.reweight` makes the same score of them as the report would.
    """

    value: float
    half_width: float
    terms: tuple[Term, ...]
    replicates: bytes = b""
    draws: Mapping[str, bytes] = field(default_factory=dict)

    def term(self, name: str) -> Term:
        return next(term for term in self.terms if term.name == name)


def score(
    report: Report | Measurements,
    contest: Contest,
    formula: Formula | None = None,
    part: Part = "all",
) -> Score:
    """Apply ``formula`` (the contest's current one if not given) to a report, over one part of the questions.

    Memory and speed know no questions and are the same for every part.

    Raises:
        ScoreError: a benchmark or speed shape of the contest is missing from the report, or the base model
            scored nothing, so that a ratio has no meaning.
    """
    found = inputs.of(report)
    accuracy = _accuracy(found, contest, part)
    return _weighed((accuracy, *_facts(found, contest)), formula or contest.formula)


def by_part(report: Report | Measurements, contest: Contest) -> tuple[Score, Score | None]:
    """The score over the public questions, and that over the private ones where there are any.

    Raises:
        ScoreError: as :func:`score`.
    """
    found = inputs.of(report)
    facts = _facts(found, contest)
    public = _weighed((_accuracy(found, contest, "public"), *facts), contest.formula)
    if not has_private(contest):
        return public, None
    return public, _weighed((_accuracy(found, contest, "private"), *facts), contest.formula)


def _facts(found: Measurements, contest: Contest) -> tuple[_Measured, _Measured]:
    """What knows no questions."""
    return _memory(found), _speed(found, contest)


def _weighed(measured: Sequence[_Measured], formula: Formula) -> Score:
    drawn: Any = 0.0
    draws = {}
    for name, value, replicated, _, _ in measured:
        if replicated is not None:
            draws[name] = replicated
        drawn = drawn + getattr(formula, name) * (value if replicated is None else replicated)
    drawn = drawn.clip(min=0.0)
    half_width, *others = bootstrap.half_widths([drawn, *draws.values()])
    widths = dict(zip(draws, others, strict=True))
    terms = tuple(
        Term(name, value, widths.get(name, 0.0), own, base, getattr(formula, name))
        for name, value, _, own, base in measured
    )
    value = max(0.0, math.fsum(term.points for term in terms))
    packed = {name: bootstrap.packed(one) for name, one in draws.items()}
    return Score(value, half_width, terms, bootstrap.packed(drawn), packed)


def terms(report: Report, contest: Contest, formula: Formula | None = None) -> tuple[Term, ...]:
    """The terms that ``report`` has measurements for: all of a grade's, fewer of one in which less was done."""
    formula = formula or contest.formula
    measured, found = inputs.of(report), []
    with suppress(ScoreError):
        found.append(_term(_accuracy(measured, contest, "all"), formula))
    found.append(_term(_memory(measured), formula))
    with suppress(ScoreError):
        found.append(_term(_speed(measured, contest), formula))
    return tuple(found)


# name, value, replicates (None: a fact without an interval), measured, base
_Measured = tuple[str, float, Any, float, float]


def _term(measured: _Measured, formula: Formula) -> Term:
    name, value, draws, own, base = measured
    half_width = 0.0 if draws is None else bootstrap.half_width(draws)
    return Term(name, value, half_width, own, base, getattr(formula, name))


def _accuracy(found: Measurements, contest: Contest, part: Part) -> _Measured:
    """A benchmark without any question in ``part`` is left out of both sums."""
    own = base = 0.0
    own_drawn: Any = 0.0
    base_drawn: Any = 0.0
    for benchmark in contest.benchmarks:
        answers = found.answers.get(benchmark.id)
        if answers is None or not answers.hashes:
            raise ScoreError(f"benchmark {benchmark.id} is missing from the report")
        asked = tuple(answers.doc_ids), tuple(answers.hashes)
        at = places(contest.split_salt, benchmark, *asked, part)
        if not at:
            continue
        values, base_values = [answers.values[i] for i in at], [answers.base_values[i] for i in at]
        own += benchmark.weight * _mean(values)
        base += benchmark.weight * _mean(base_values)
        hashes = [answers.hashes[i] for i in at]
        drawn = bootstrap.of_questions(benchmark.id, hashes, values, base_values)
        own_drawn = own_drawn + benchmark.weight * drawn[0]
        base_drawn = base_drawn + benchmark.weight * drawn[1]
    if base <= 0:
        where = "" if part == "all" else f" of the {part} questions"
        raise ScoreError(f"the base model got none{where} right, so accuracy has no denominator")
    if own > MAX_ACCURACY * base:
        raise ScoreError(f"accuracy is more than {MAX_ACCURACY:,} times the base model's")
    drawn = bootstrap.stored(bootstrap.ratio(own_drawn, base_drawn))
    return "accuracy", own / base, drawn, own, base


def _memory(found: Measurements) -> _Measured:
    own, base = found.checkpoint_bytes, found.base_bytes
    return "memory", 1.0 - own / base, None, float(own), float(base)


def _speed(found: Measurements, contest: Contest) -> _Measured:
    if not contest.speed.shapes:
        raise ScoreError("no load shape was measured")
    mean = 0.0
    drawn: Any = 0.0
    for shape in contest.speed.shapes:
        ratios = found.log_ratios.get(shape.id, ())
        if len(ratios) < 2:
            raise ScoreError(f"speed shape {shape.id} is missing from the report")
        mean += shape.weight * trimmed_mean(ratios)
        drawn = drawn + shape.weight * bootstrap.of_rounds(ratios)
    time_ratio = math.exp(-mean)
    return "speed", 1.0 - time_ratio, bootstrap.stored(1.0 - math.e**-drawn), time_ratio, 1.0


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
