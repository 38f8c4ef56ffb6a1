"""A report for the bundled demo contest without Django, for tests of the pure rules."""

from __future__ import annotations

from grader import contest as rules
from grader.contest import Contest
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

SERVING = ServingMetrics(1, 1, 1, 1, 1, 1, 1, 100)


def demo() -> Contest:
    """The bundled contest, with a salt that does not change from run to run."""
    path = rules.find("demo")
    return rules.parse(path.read_text("utf-8"), path.parent, "demo-2026")


def quality(name: str, pairs: list[tuple[float, float]]) -> QualityResult:
    """Build one benchmark from (candidate, base) values per question."""
    items = tuple(
        Item(i, f"doc{i}", f"prompt{i}", value, base) for i, (value, base) in enumerate(pairs)
    )
    mean = [sum(column) / len(pairs) for column in zip(*pairs, strict=True)]
    return QualityResult(name, mean[0], 0.01, mean[1], 0.01, items)


def speed(name: str, rounds: list[tuple[float, float]]) -> SpeedResult:
    """Build one shape from (candidate_s, base_s) per round."""
    paired = tuple(Round(i % 2 == 0, own, base) for i, (own, base) in enumerate(rounds))
    return SpeedResult(name, 100, paired, SERVING, SERVING)


def report(
    *,
    pairs: list[tuple[float, float]] | dict[str, list[tuple[float, float]]] | None = None,
    rounds: list[tuple[float, float]] | None = None,
    checkpoint_bytes: int = 500,
    base_bytes: int = 1000,
    content: str = "c0ffee",
) -> Report:
    """Use the same answers for all benchmarks unless ``pairs`` names each, and the same rounds for all
    shapes."""
    contest = demo()
    pairs = pairs or [(1, 1), (0, 1), (1, 0), (1, 1)] * 10
    rounds = rounds or [(1.0, 2.0), (1.1, 2.1), (0.9, 1.9)] * 3
    return Report(
        contest=contest.id,
        contest_sha256=contest.sha256,
        checkpoint=CheckpointFacts(content, checkpoint_bytes, "W8A8"),
        quality=tuple(
            quality(b.id, pairs[b.id] if isinstance(pairs, dict) else pairs)
            for b in contest.benchmarks
        ),
        memory=MemoryResult(checkpoint_bytes, base_bytes),
        speed=tuple(speed(s.id, rounds) for s in contest.speed.shapes),
        system=System("w", "cpu", "CPU", "cpu", 2, 1),
        stages=(),
    )
