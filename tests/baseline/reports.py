"""A report as ``grade`` would give it, with any answers."""

from __future__ import annotations

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

METRICS = ServingMetrics(1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 100.0)


def report(wrong: int = 4, quality: bool = True, speed: bool = True) -> Report:
    """Every ``wrong``-th of 40 questions answered wrong; without a part, as ``--only`` leaves it out."""
    items = tuple(Item(i, str(i), str(i), float(i % wrong > 0), 1.0) for i in range(40))
    right = sum(item.value for item in items) / len(items)
    rounds = tuple(Round(i % 2 == 0, 1.0 + i / 100, 1.3) for i in range(8))
    benchmarks = ("gsm8k", "choice") if quality else ()
    shapes = ("latency", "throughput") if speed else ()
    return Report(
        contest="demo",
        contest_sha256="0" * 64,
        checkpoint=CheckpointFacts("0" * 64, 500, "W8A8"),
        quality=tuple(QualityResult(name, right, 0.07, 1.0, 0.0, items) for name in benchmarks),
        memory=MemoryResult(checkpoint_bytes=500, base_bytes=1000),
        speed=tuple(SpeedResult(name, 48, rounds, METRICS, METRICS) for name in shapes),
        system=System("here", "cpu", "Some CPU", "Some CPU", 2, 1),
        stages=(),
    )
