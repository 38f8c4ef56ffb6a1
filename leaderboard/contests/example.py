"""A worked example under a contest's live rules: invented measurements, scored by the real code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grader.contest import Benchmark
from grader.contest import Contest as Rules
from grader.schema import encode
from grader.scoring import example
from grader.scoring.score import score
from leaderboard.core.cache import remember


@dataclass(frozen=True, slots=True)
class Answered:
    """One benchmark of the example."""

    benchmark: Benchmark
    questions: int
    right: int
    base_right: int


@dataclass(frozen=True, slots=True)
class Example:
    """Has the shape of :class:`leaderboard.models.PartScore`, so that the same templates can show it."""

    value: float
    half_width: float
    terms: list[dict[str, Any]]
    speedup: float
    answers: tuple[Answered, ...]


def of(rules: Rules) -> Example:
    """The example; computing it takes some hundredths of a second, so it is cached per version of the rules."""
    return remember(f"example:{rules.sha256}", lambda: _made(rules), is_shared=False)


def _made(rules: Rules) -> Example:
    report = example.report(rules)
    result = score(report, rules)
    answers = tuple(
        Answered(
            benchmark,
            len(measured.items),
            round(sum(item.value for item in measured.items)),
            round(sum(item.base_value for item in measured.items)),
        )
        for benchmark, measured in zip(rules.benchmarks, report.quality, strict=True)
    )
    terms = [
        {**encode(term), "points": term.points, "capped": term.capped} for term in result.terms
    ]
    return Example(
        result.value, result.half_width, terms, 1 / result.term("speed").measured, answers
    )
