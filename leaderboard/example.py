"""A worked example under a contest's live rules: made-up measurements, scored by the code of real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grader.contest import Benchmark
from grader.contest import Contest as Rules
from grader.report import (
    CheckpointFacts,
    Item,
    MemoryResult,
    QualityResult,
    Report,
    Round,
    ServingMetrics,
    SpeedResult,
    System,
)
from grader.schema import encode
from grader.score import score
from leaderboard.remembering import remember

SIZE = 0.42  # of the base model's bytes
ROUNDS = ((1.02, 1.36), (1.00, 1.33), (1.04, 1.37), (1.01, 1.38), (1.03, 1.34), (0.99, 1.35))
MOST_QUESTIONS = 500
UNLIMITED_QUESTIONS = 400
# Of all questions: both models right, the base model alone, the candidate alone.
BOTH, LOST, WON = 0.62, 0.07, 0.04


@dataclass(frozen=True, slots=True)
class Answered:
    """One benchmark of the example."""

    benchmark: Benchmark
    questions: int
    right: int
    base_right: int


@dataclass(frozen=True, slots=True)
class Example:
    """Shaped as :class:`leaderboard.models.PartScore`, so that the same templates show it."""

    value: float
    half_width: float
    terms: list[dict[str, Any]]
    speedup: float
    answers: tuple[Answered, ...]


def of(rules: Rules) -> Example:
    """The example; making it takes some hundredths of a second, so it is remembered with the rules."""
    return remember(f"example:{rules.sha256}", lambda: _made(rules), is_shared=False)


def _made(rules: Rules) -> Example:
    report = _report(rules)
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
    terms = [{**encode(term), "points": term.points} for term in result.terms]
    return Example(
        result.value, result.half_width, terms, 1 / result.term("speed").measured, answers
    )


def _report(rules: Rules) -> Report:
    nothing = ServingMetrics(0, 0, 0, 0, 0, 0, 0, 0)
    base_bytes = rules.base_model.safetensors_bytes or 10**9
    size_bytes = round(SIZE * base_bytes)
    return Report(
        contest=rules.id,
        contest_sha256=rules.sha256,
        checkpoint=CheckpointFacts("example", size_bytes, "W4A16 g128"),
        quality=tuple(_answers(benchmark) for benchmark in rules.benchmarks),
        memory=MemoryResult(size_bytes, base_bytes),
        speed=tuple(
            SpeedResult(
                shape.id,
                0,
                tuple(Round(i % 2 == 0, own, base) for i, (own, base) in enumerate(ROUNDS)),
                nothing,
                nothing,
            )
            for shape in rules.speed.shapes
        ),
        system=System("example", "cpu", "", "", 0, 0),
        stages=(),
    )


def _answers(benchmark: Benchmark) -> QualityResult:
    questions = min(benchmark.limit or UNLIMITED_QUESTIONS, MOST_QUESTIONS)
    both, lost, won = (round(share * questions) for share in (BOTH, LOST, WON))
    pairs = [(1.0, 1.0)] * both + [(0.0, 1.0)] * lost + [(1.0, 0.0)] * won
    pairs += [(0.0, 0.0)] * (questions - len(pairs))
    items = tuple(Item(i, f"question {i}", "", own, base) for i, (own, base) in enumerate(pairs))
    return QualityResult(benchmark.id, 0.0, 0.0, 0.0, 0.0, items)
