"""One checkpoint graded five times in a row: the largest score minus the smallest.

``unpaired_spread`` is the result of the same five runs without paired speed: each run's own times relative to
the base model's times in the first run, as in a grader that measures its base model once.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from grader.protocol.documents import Report, SpeedResult
from grader.scoring.score import score
from grader.worker.grade import grade
from tests.bench.grading import compressed, demo, worker
from tests.bench.harness import say


def run(quick: bool) -> dict[str, object]:
    contest, n = demo(), 2 if quick else 5
    reports: list[Report] = []
    with worker() as settings:
        checkpoint = compressed(contest, settings.scratch.parent / "checkpoint")
        for number in range(1, n + 1):
            reports.append(grade(checkpoint, contest, settings))
            result = score(reports[-1], contest)
            terms = ", ".join(f"{t.name} {t.value:.4f} ± {t.half_width:.4f}" for t in result.terms)
            rounds = [len(s.rounds) for s in reports[-1].speed]
            say(f"  grade {number}/{n}: {result.value:.4f} ({terms}; rounds {rounds})")
    paired = [score(report, contest) for report in reports]
    first = reports[0].speed
    unpaired = [score(replace(r, speed=_against(r.speed, first)), contest) for r in reports]
    return {
        "score_spread": _spread([s.value for s in paired]),
        "unpaired_spread": _spread([s.value for s in unpaired]),
        "n": n,
        "accuracy_spread": _spread([s.term("accuracy").value for s in paired]),
        "speed_spread": _spread([s.term("speed").value for s in paired]),
        "unpaired_speed_spread": _spread([s.term("speed").value for s in unpaired]),
    }


def _against(own: Sequence[SpeedResult], first: Sequence[SpeedResult]) -> tuple[SpeedResult, ...]:
    """Replace the base model's times in the rounds of ``own`` with its typical time in ``first``."""
    return tuple(
        replace(
            result,
            rounds=tuple(
                replace(r, base_s=statistics.median(x.base_s for x in known.rounds))
                for r in result.rounds
            ),
        )
        for result, known in zip(own, first, strict=True)
    )


def _spread(values: Sequence[float]) -> float:
    return round(max(values) - min(values), 4)
