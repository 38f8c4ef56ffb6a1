"""The verdict of an A/A test: a sound worker passes every day, a faulty or changed one does not."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from grader.contest import AA, find, load
from grader.protocol.documents import AAReport, Round, ServingMetrics, SpeedResult, System
from grader.scoring.aa import Outcome, judge, outcomes, work_id

RULES = AA(ratio_tolerance=0.01, base_time_tolerance=0.03)
METRICS = ServingMetrics(0, 0, 0, 0, 0, 0, 0, 0)


def report(ratio=1.0, noise=0.02, rounds=20, base_s=2.0, seed=1):
    """``ratio``: how much faster the second engine appears to be, on average in every round."""
    generator = random.Random(seed)
    pairs = tuple(
        Round(
            n % 2 == 0,
            base_s / ratio * math.exp(generator.gauss(0, noise)),
            base_s * math.exp(generator.gauss(0, noise)),
        )
        for n in range(rounds)
    )
    system = System("gpu-1", "cuda", "NVIDIA L4", "", 8, 0, versions={"vllm": "0.32.0"})
    shape = SpeedResult("latency", 100, pairs, METRICS, METRICS)
    return AAReport("demo", "0" * 64, (shape,), system)


def codes(problems):
    return [problem.code for problem in problems]


def test_honest_worker_passes_for_a_thousand_days():
    failed = sum(bool(judge(outcomes(report(seed=n)), RULES, {})) for n in range(1000))
    assert failed <= 10  # requiring that the interval contains 1 would fail about 50


@pytest.mark.parametrize("ratio", [0.95, 1.05])
def test_worker_that_favours_one_side_fails(ratio):
    problems = judge(outcomes(report(ratio)), RULES, {})
    assert codes(problems) == ["SYS_AA_RATIO"]
    assert problems[0].where == "latency"


def test_half_width_and_median_time_are_those_of_the_rounds():
    (found,) = outcomes(report(noise=0.0, base_s=2.0))
    assert found == Outcome("latency", 1.0, 0.0, 2.0)


@pytest.mark.parametrize(
    ("base_s", "expected"), [(2.05, []), (2.1, ["SYS_AA_DRIFT"]), (1.9, ["SYS_AA_DRIFT"])]
)
def test_base_time_is_compared_with_the_workers_own(base_s, expected):
    found = (Outcome("latency", 1.0, 0.001, base_s),)
    assert codes(judge(found, RULES, {"latency": [1.99, 2.0, 2.02]})) == expected


def test_two_earlier_tests_say_nothing_about_what_is_usual():
    found = (Outcome("latency", 1.0, 0.001, 9.0),)
    assert judge(found, RULES, {"latency": [2.0, 2.0]}) == []


def test_single_round_cannot_be_judged():
    with pytest.raises(ValueError, match="no interval"):
        outcomes(report(rounds=1))


def test_times_are_comparable_only_on_the_same_work_and_software():
    contest, system = load(find("demo")), report().system
    same = work_id(contest, system)
    assert work_id(contest, replace(system, worker="gpu-2")) == same
    assert work_id(contest, replace(system, versions={"vllm": "0.33.0"})) != same
    assert work_id(contest, replace(system, engine_flags=("--enforce-eager",))) != same
