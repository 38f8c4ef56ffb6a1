"""Made-up measurements under a contest's rules, for examples that are scored by the real code."""

from __future__ import annotations

from grader.contest import Benchmark, Contest
from grader.protocol.documents import (
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

SIZE = 0.42  # share of the base model's bytes
ROUNDS = ((1.02, 1.36), (1.00, 1.33), (1.04, 1.37), (1.01, 1.38), (1.03, 1.34), (0.99, 1.35))
MOST_QUESTIONS = 500
UNLIMITED_QUESTIONS = 400
# Shares of all questions: both models right, only the base model, only the candidate.
BOTH, LOST, WON = 0.62, 0.07, 0.04


def report(contest: Contest) -> Report:
    """A candidate with 42 % of the size that loses a few answers and is about a third faster."""
    nothing = ServingMetrics(0, 0, 0, 0, 0, 0, 0, 0)
    base_bytes = contest.base_model.safetensors_bytes or 10**9
    size_bytes = round(SIZE * base_bytes)
    rounds = tuple(Round(i % 2 == 0, own, base) for i, (own, base) in enumerate(ROUNDS))
    return Report(
        contest=contest.id,
        contest_sha256=contest.sha256,
        checkpoint=CheckpointFacts("example", size_bytes, "W4A16 g128"),
        quality=tuple(_answers(benchmark) for benchmark in contest.benchmarks),
        memory=MemoryResult(size_bytes, base_bytes),
        speed=tuple(
            SpeedResult(shape.id, 0, rounds, nothing, nothing) for shape in contest.speed.shapes
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
