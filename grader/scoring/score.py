"""Turns a report into a score: three terms relative to the base model, each with an interval, and their
weighted sum.

    accuracy = min(cap, Σ w_b · candidate_b / Σ w_b · base_b)     over the contest's benchmarks b
    memory   = 1 − bytes / bytes of the base model
    speed    = 1 − t / t of the base model              t: time for the same fixed work
    score    = max(0, a·accuracy + m·memory + s·speed)

The base model itself has accuracy 1, memory 0, speed 0. Compression gains no accuracy, learning the questions
does; so the cap is what the base model could have reached by chance, 1 + its half-width / its accuracy, unless
the contest sets another (``accuracy_cap``). Intervals are 95 % and come from a bootstrap over questions (paired
with the base model's answers) and over speed rounds (paired by construction); replicates are cut likewise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from grader.contest import Contest, Formula
from grader.protocol.documents import Report
from grader.scoring import bootstrap, inputs
from grader.scoring.inputs import Measurements
from grader.scoring.parts import Part, has_private, places
from grader.scoring.stats import trimmed_mean

# Limit relative to the base model: a larger ratio means that the base model answered almost nothing.
MAX_ACCURACY = 1000


class ScoreError(ValueError):
    """The report lacks something the contest's formula needs."""


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the formula.

    Attributes:
        name: ``accuracy``, ``memory`` or ``speed``.
        value: as in the formula; ``half_width`` is that of its 95 % interval.
        measured, base: what it was computed from (accuracy 0–1, bytes, seconds-ratio against 1).
        cap: the largest value that counts; None: without a limit.
        open_half_width: without the cap, where that narrows the interval; otherwise 0.
    """

    name: str
    value: float
    half_width: float
    measured: float
    base: float
    weight: float = 0.0
    cap: float | None = None
    open_half_width: float = 0.0

    @property
    def capped(self) -> bool:
        """Whether more was measured than counts."""
        return self.cap is not None and self.measured / self.base > self.cap

    @property
    def points(self) -> float:
        """What the term adds to the score."""
        return self.weight * self.value


@dataclass(frozen=True, slots=True)
class Score:
    """The number used for ranking, and its components.

    ``replicates`` are packed (:func:`grader.scoring.bootstrap.packed`); :mod:`grader.scoring.ranking` uses them
    for comparisons.
    """

    value: float
    half_width: float
    terms: tuple[Term, ...]
    replicates: bytes = b""

    def term(self, name: str) -> Term:
        return next(term for term in self.terms if term.name == name)


def score(
    report: Report | Measurements,
    contest: Contest,
    formula: Formula | None = None,
    part: Part = "all",
) -> Score:
    """Apply ``formula`` (the contest's current one if not given) to a report, over one part of the questions.

    Memory and speed do not depend on questions and are the same for every part.

    Raises:
        ScoreError: a benchmark or speed shape of the contest is missing from the report, or the base model
            scored zero, so that a ratio is undefined.
    """
    found = [inputs.of(report)]
    measured = (_accuracy(found, contest, part), *_facts(found, contest))
    return _weighed(measured, formula or contest.formula)[0]


def by_part(report: Report | Measurements, contest: Contest) -> tuple[Score, Score | None]:
    """Return the score over the public questions, and over the private ones if there are any.

    Raises:
        ScoreError: as :func:`score`.
    """
    return many([inputs.of(report)], contest)[0]


def many(found: Sequence[Measurements], contest: Contest) -> list[tuple[Score, Score | None]]:
    """Return :func:`by_part` of many reports, bit for bit. Reports with the same questions are computed
    together.

    Raises:
        ScoreError: one of them lacks what the formula needs.
    """
    alike: dict[Any, list[int]] = {}
    for i, one in enumerate(found):
        asked = tuple((name, tuple(a.hashes), tuple(a.doc_ids)) for name, a in one.answers.items())
        alike.setdefault(asked, []).append(i)
    scores: dict[int, tuple[Score, Score | None]] = {}
    for places_ in alike.values():
        scores.update(zip(places_, _alike([found[i] for i in places_], contest), strict=True))
    return [scores[i] for i in range(len(found))]


def _alike(found: Sequence[Measurements], contest: Contest) -> Iterable[tuple[Score, Score | None]]:
    facts = _facts(found, contest)
    public = _weighed((_accuracy(found, contest, "public"), *facts), contest.formula)
    if not has_private(contest):
        return [(one, None) for one in public]
    private = _weighed((_accuracy(found, contest, "private"), *facts), contest.formula)
    return zip(public, private, strict=True)


def _facts(found: Sequence[Measurements], contest: Contest) -> tuple[_Measured, _Measured]:
    """Return the terms that do not depend on questions."""
    return _memory(found), _speed(found, contest)


def _weighed(measured: Sequence[_Measured], formula: Formula) -> list[Score]:
    drawn: Any = 0.0
    for one in measured:
        weight = getattr(formula, one.name)
        replicates = bootstrap.column([weight * value for value in one.values])
        drawn = drawn + (replicates if one.drawn is None else weight * one.drawn)
    drawn = drawn.clip(min=0.0)
    return [
        Score(max(0.0, math.fsum(term.points for term in terms)), half_width, terms, packed)
        for terms, half_width, packed in zip(
            zip(*(_terms(one, formula) for one in measured), strict=True),
            bootstrap.half_widths(drawn),
            map(bootstrap.packed, drawn),
            strict=True,
        )
    ]


def terms(report: Report, contest: Contest, formula: Formula | None = None) -> tuple[Term, ...]:
    """Return the terms that ``report`` has measurements for: all of a full grade's, fewer of a partial one."""
    measured, found = [inputs.of(report)], []
    with suppress(ScoreError):
        found.append(_accuracy(measured, contest, "all"))
    found.append(_memory(measured))
    with suppress(ScoreError):
        found.append(_speed(measured, contest))
    return tuple(_terms(one, formula or contest.formula)[0] for one in found)


def replicates(report: Report, contest: Contest, part: Part) -> dict[str, Any]:
    """Of the terms that vary: what else they could have come out as, an array each.

    Raises:
        ScoreError: as :func:`score`.
    """
    found = [inputs.of(report)]
    varying = _accuracy(found, contest, part), _speed(found, contest)
    return {one.name: one.drawn[0] for one in varying}


@dataclass(frozen=True, slots=True)
class _Measured:
    """Build one term for many reports. ``drawn`` has a row of replicates for each; None: a fact without an
    interval.
    """

    name: str
    values: Sequence[float]
    drawn: Any
    own: Sequence[float]
    base: Sequence[float]
    caps: Sequence[float] | None = None
    open_drawn: Any = None


def _terms(one: _Measured, formula: Formula) -> list[Term]:
    weight = getattr(formula, one.name)
    widths = [0.0] * len(one.values) if one.drawn is None else bootstrap.half_widths(one.drawn)
    caps: Sequence[float | None] = one.caps or [None] * len(one.values)
    wide = widths if one.open_drawn is None else bootstrap.half_widths(one.open_drawn)
    return [
        Term(
            one.name,
            value,
            half_width,
            own,
            base,
            weight,
            cap,
            open_ if open_ != half_width else 0.0,
        )
        for value, half_width, own, base, cap, open_ in zip(
            one.values, widths, one.own, one.base, caps, wide, strict=True
        )
    ]


def _accuracy(found: Sequence[Measurements], contest: Contest, part: Part) -> _Measured:
    """Compute accuracy of reports with the same questions. Benchmarks without any in ``part`` are left out."""
    own, base, share = [0.0] * len(found), [0.0] * len(found), 0.0
    own_drawn: Any = 0.0
    base_drawn: Any = 0.0
    for benchmark in contest.benchmarks:
        answers = [one.answers.get(benchmark.id) for one in found]
        if not all(answers) or not all(one.hashes for one in answers if one):
            raise ScoreError(f"benchmark {benchmark.id} is missing from the report")
        asked = [one for one in answers if one]
        doc_ids, hashes = tuple(asked[0].doc_ids), tuple(asked[0].hashes)
        at = places(contest.split_salt, benchmark, doc_ids, hashes, part)
        if not at:
            continue
        names = [hashes[i] for i in at]
        values = bootstrap.matrix([one.values for one in asked])[:, at]
        base_values = bootstrap.matrix([one.base_values for one in asked])[:, at]
        own = [o + benchmark.weight * mean for o, mean in zip(own, _means(values), strict=True)]
        means = _means(base_values) * (len(found) // len(base_values))
        base = [o + benchmark.weight * mean for o, mean in zip(base, means, strict=True)]
        weight = benchmark.weight
        share += weight
        own_drawn = own_drawn + weight * bootstrap.of_questions(benchmark.id, names, values)
        base_drawn = base_drawn + weight * bootstrap.of_questions(benchmark.id, names, base_values)
    if min(base) <= 0:
        where = "" if part == "all" else f" of the {part} questions"
        raise ScoreError(f"the base model got none{where} right, so accuracy has no denominator")
    if any(o > MAX_ACCURACY * b for o, b in zip(own, base, strict=True)):
        raise ScoreError(f"accuracy is more than {MAX_ACCURACY:,} times the base model's")
    drawn = bootstrap.ratio(own_drawn, base_drawn)
    ratios = [o / b for o, b in zip(own, base, strict=True)]
    caps = _caps(contest.scoring.accuracy_cap, base, base_drawn)
    if not math.isclose(
        share, 1.0
    ):  # a wholly private benchmark is left out: means over the others
        own, base = [o / share for o in own], [o / share for o in base]
    if contest.scoring.accuracy_cap == "none":
        return _Measured("accuracy", ratios, bootstrap.stored(drawn), own, base)
    open_drawn = bootstrap.stored(drawn)
    drawn = bootstrap.stored(bootstrap.at_most(drawn, caps))
    values = [min(ratio, cap) for ratio, cap in zip(ratios, caps, strict=True)]
    return _Measured("accuracy", values, drawn, own, base, caps, open_drawn)


def _caps(cap: float | str, base: Sequence[float], base_drawn: Any) -> list[float]:
    """Return the largest accuracy that counts in each report, relative to the base model's."""
    if cap == "none":
        return [math.inf] * len(base)
    if isinstance(cap, float):
        return [cap] * len(base)
    widths = bootstrap.half_widths(base_drawn)
    widths *= len(base) // len(widths)
    return [1.0 + width / one for width, one in zip(widths, base, strict=True)]


def _memory(found: Sequence[Measurements]) -> _Measured:
    own = [float(one.checkpoint_bytes) for one in found]
    base = [float(one.base_bytes) for one in found]
    return _Measured(
        "memory", [1.0 - o / b for o, b in zip(own, base, strict=True)], None, own, base
    )


def _speed(found: Sequence[Measurements], contest: Contest) -> _Measured:
    if not contest.speed.shapes:
        raise ScoreError("no load shape was measured")
    times, rows = [], []
    for one in found:
        mean = 0.0
        drawn: Any = 0.0
        for shape in contest.speed.shapes:
            ratios = one.log_ratios.get(shape.id, ())
            if len(ratios) < 2:
                raise ScoreError(f"speed shape {shape.id} is missing from the report")
            mean += shape.weight * trimmed_mean(ratios)
            drawn = drawn + shape.weight * bootstrap.of_rounds(ratios)
        times.append(math.exp(-mean))
        rows.append(bootstrap.stored(1.0 - math.e**-drawn))
    return _Measured(
        "speed", [1.0 - t for t in times], bootstrap.matrix(rows), times, [1.0] * len(found)
    )


def _means(values: Any) -> list[float]:
    """Return the mean of each row, rounded once."""
    if values.dtype.kind == "u":  # right and wrong answers are whole numbers, whose sums are exact
        return [int(row) / values.shape[1] for row in values.sum(axis=1, dtype=int)]
    return [math.fsum(row) / len(row) for row in values.tolist()]
