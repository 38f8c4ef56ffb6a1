"""A checkpoint that slows the base model down while that is measured, so that its own ratio rises.

How it would do that does not matter here: the times are those of a grade in which it succeeds. What pays best
is to stay just below the limit.
"""

from __future__ import annotations

from dataclasses import replace

from grader.contest import AA, Contest
from grader.protocol.documents import Report
from grader.scoring.compliance import base_slowdown, base_times
from grader.scoring.score import score
from tests.cheats import Outcome
from tests.factories_pure import demo, report

FACTORS = [1 + step / 200 for step in range(201)]  # up to twice as slow


def play() -> Outcome:
    contest = replace(demo(), aa=AA())  # the limits of a real contest; the demo's are a laptop's
    honest = report()
    usual = {shape: [base_s] * 5 for shape, base_s in base_times(honest).items()}
    gains = {factor: _gain(honest, factor, contest) for factor in FACTORS}
    free = {f: gain for f, gain in gains.items() if not _is_flagged(honest, f, usual, contest)}
    best = max(free, key=lambda factor: free[factor])
    return Outcome(
        free[best],
        "FLAG_BASE_TIME",
        {"unseen up to": f"×{best:.3f}", "before": f"{gains[FACTORS[-1]]:+.4f}"},
    )


def _slowed(honest: Report, factor: float) -> Report:
    speed = tuple(
        replace(shape, rounds=tuple(replace(r, base_s=factor * r.base_s) for r in shape.rounds))
        for shape in honest.speed
    )
    return replace(honest, speed=speed)


def _gain(honest: Report, factor: float, contest: Contest) -> float:
    return score(_slowed(honest, factor), contest).value - score(honest, contest).value


def _is_flagged(
    honest: Report, factor: float, usual: dict[str, list[float]], contest: Contest
) -> bool:
    found = base_slowdown(_slowed(honest, factor), usual, contest)
    assert found, "compared with the worker's usual times"
    return any(check.flagged for check in found)
