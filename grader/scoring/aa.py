"""The A/A test, which compares the base model with itself, and the decision whether the worker may keep
grading.

A worker that finds a difference where there is none would also find one in submissions. The test checks that
the ratio is 1, and that the base model is as fast as usual on this worker.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from grader.contest import AA, Contest
from grader.problems.catalogue import Problem
from grader.protocol.documents import AAReport, SpeedResult, System
from grader.schema import encode
from grader.scoring.stats import trimmed_interval

MIN_USUAL = 3  # with fewer earlier tests, the usual time is unknown
_SOFTWARE = ("vllm", "torch")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One load shape of a test.

    Attributes:
        ratio: one engine's time over the other's, by the speed test's trimmed mean; 1 on a sound worker.
        half_width: of the 95 % interval of ln(ratio).
        base_s: median time of a round, over both engines.
    """

    shape: str
    ratio: float
    half_width: float
    base_s: float

    @property
    def interval(self) -> tuple[float, float]:
        return self.ratio * math.exp(-self.half_width), self.ratio * math.exp(self.half_width)


def outcomes(report: AAReport) -> tuple[Outcome, ...]:
    """Compute the figures that are judged and plotted.

    Raises:
        ValueError, ZeroDivisionError: fewer than two rounds, or a round that took no time.
    """
    return tuple(_outcome(result) for result in report.speed)


def judge(
    found: tuple[Outcome, ...], rules: AA, usual_s: Mapping[str, list[float]]
) -> list[Problem]:
    """Return what is wrong with the worker; empty if it passes.

    The interval must come within ``ratio_tolerance`` of 1. Requiring it to contain 1 exactly would fail a sound
    worker in one of twenty shapes every day.

    Args:
        usual_s: shape → ``base_s`` of the tests this worker passed before, on the same work.
    """
    problems = []
    for outcome in found:
        low, high = outcome.interval
        if low > 1 + rules.ratio_tolerance or high < 1 - rules.ratio_tolerance:
            problems.append(Problem("SYS_AA_RATIO", outcome.shape, f"{low:.4f}–{high:.4f}"))
        earlier = usual_s.get(outcome.shape, [])
        if len(earlier) < MIN_USUAL:
            continue
        usual = statistics.median(earlier)
        drift = outcome.base_s / usual - 1
        if abs(drift) > rules.base_time_tolerance:
            detail = f"{outcome.base_s:.3f} s, usually {usual:.3f} s ({drift:+.1%})"
            problems.append(Problem("SYS_AA_DRIFT", outcome.shape, detail))
    return problems


def work_id(contest: Contest, system: System) -> str:
    """Return a key that is equal for tests with comparable times: the same work with the same software."""
    facts = {
        "base_model": encode(contest.base_model),
        "engine": encode(contest.engine),
        "speed": encode(contest.speed),
        "software": {name: system.versions.get(name, "") for name in _SOFTWARE},
        "flags": system.engine_flags,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def _outcome(result: SpeedResult) -> Outcome:
    mean, half_width = trimmed_interval([r.log_ratio for r in result.rounds])
    if not math.isfinite(half_width):
        raise ValueError(f"{result.shape}: one round has no interval")
    times = [time for r in result.rounds for time in (r.base_s, r.candidate_s)]
    return Outcome(
        result.shape,
        round(math.exp(mean), 6),
        round(half_width, 6),
        round(statistics.median(times), 6),
    )
