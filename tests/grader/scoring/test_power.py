"""The smallest difference a design can tell apart, against closed formulas and what the board then does."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.scoring import power
from grader.scoring.ranking import Contender, rank
from grader.scoring.score import score
from grader.scoring.stats import Z975, t_quantile_975, trimmed_interval
from tests.factories_pure import demo, report, speed

OPEN = tuple(replace(b, public_share=1.0, twin_of="") for b in demo().benchmarks)
CONTEST = replace(demo(), benchmarks=OPEN)
NOISE = 0.02  # of a round's log ratio


def entry(generator, *, flips=0.0, log_speedup=0.0, questions=200, rounds=20):
    """A graded entry: it answers like the base model, which is right half of the time, but for ``flips``."""
    pairs = {}
    for benchmark in CONTEST.benchmarks:
        base = [float(i % 2) for i in range(questions)]
        own = [1 - b if generator.random() < flips else b for b in base]
        pairs[benchmark.id] = list(zip(own, base, strict=True))

    def times():
        return [(1.0, math.exp(generator.gauss(log_speedup, NOISE))) for _ in range(rounds)]

    timed = tuple(speed(shape.id, times()) for shape in CONTEST.speed.shapes)
    return replace(report(pairs=pairs, checkpoint_bytes=1000), speed=timed)


def pair(seed, **facts):
    """What a trial measures: the base model, and a reference that answers a tenth otherwise."""
    generator = random.Random(seed)
    return entry(generator, **facts), entry(generator, flips=0.1, **facts)


def told_apart(first, second):
    """What the board says of two entries and of nobody else."""
    scores = [score(one, CONTEST, part="all") for one in (first, second)]
    entries = [Contender(s.value, s.half_width, s.replicates) for s in scores]
    return not rank(sorted(entries, reverse=True), [True, True])[1].tied


def test_errors_are_those_of_the_closed_formulas():
    """Accuracy: of a mean of paired differences over n questions. Speed: of two means of k rounds."""
    base, reference = pair(1, questions=400, rounds=40)
    found = power.resolution(base, reference, CONTEST, "all")
    variance = 0.0
    for benchmark, result in zip(CONTEST.benchmarks, reference.quality, strict=True):
        changes = [item.value - item.base_value for item in result.items]
        mean = sum(changes) / len(changes)
        spread = sum((c - mean) ** 2 for c in changes) / len(changes)
        variance += benchmark.weight**2 * spread / len(changes)
    expected = CONTEST.formula.accuracy * math.sqrt(variance) / 0.5  # relative to the base model
    assert found.accuracy_error == pytest.approx(expected, rel=0.1)
    halves = [
        shape.weight * trimmed_interval([r.log_ratio for r in result.rounds])[1] / Z975
        for one in (base, reference)
        for shape, result in zip(CONTEST.speed.shapes, one.speed, strict=True)
    ]
    assert found.speed_error == pytest.approx(CONTEST.formula.speed * math.hypot(*halves), rel=0.15)
    assert found.error == math.hypot(found.accuracy_error, found.speed_error)
    assert found.smallest == pytest.approx(2.8016 * found.error, rel=1e-4)
    assert found.tie == pytest.approx(1.96 * found.error, rel=1e-3)


@pytest.mark.parametrize(("size", "least", "most"), [(0.0, 0.0, 0.1), (1.0, 0.68, 0.92)])
def test_the_board_finds_that_difference_in_four_of_five_cases(size, least, most):
    """Simulated: entries that truly differ by ``size`` times the smallest difference, by their speed."""
    base, reference = pair(7)
    smallest = power.resolution(base, reference, CONTEST, "all").smallest
    log_speedup = -math.log(1 - size * smallest / CONTEST.formula.speed)
    generator = random.Random(11)
    runs = 150
    found = sum(
        told_apart(entry(generator), entry(generator, flips=0.1, log_speedup=log_speedup))
        for _ in range(runs)
    )
    assert least <= found / runs <= most


@pytest.mark.parametrize("more", [{"times": 2}, {"rounds": 2}])
def test_more_questions_or_rounds_do_what_was_foretold(more):
    plain = {"questions": 300, "rounds": 20}
    told, came = [], []
    for seed in range(6):
        base, reference = pair(seed, **plain)
        measured = power.resolution(base, reference, CONTEST, "all")
        told.append(power.with_more(measured, base, reference, CONTEST, **more))
        larger = {
            "questions": plain["questions"] * more.get("times", 1),
            "rounds": plain["rounds"] * more.get("rounds", 1),
        }
        came.append(power.resolution(*pair(100 + seed, **larger), CONTEST, "all"))
    for name in ("accuracy_error", "speed_error"):
        foretold, found = (sum(getattr(r, name) for r in rs) / len(rs) for rs in (told, came))
        assert found == pytest.approx(foretold, rel=0.15)


@given(st.integers(2, 400), st.integers(2, 6))
@settings(max_examples=60)
def test_more_rounds_never_widen_an_interval(rounds, times):
    assert power.interval_factor(times * rounds) < power.interval_factor(rounds)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=60, unique=True))
@settings(max_examples=60)
def test_the_factor_is_that_of_the_trimmed_interval(values):
    ordered = sorted(values)
    cut = int(0.2 * len(values))
    low, high = ordered[cut], ordered[len(values) - cut - 1]
    clipped = [min(max(v, low), high) for v in ordered]
    mean = sum(clipped) / len(clipped)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in clipped) / (len(clipped) - 1))
    half = trimmed_interval(values)[1]
    assert half == pytest.approx(power.interval_factor(len(values)) * deviation, abs=1e-12)


def test_two_rounds_are_students_interval():
    assert power.interval_factor(2) == pytest.approx(t_quantile_975(1) / math.sqrt(2))


def test_a_formula_without_accuracy_asks_for_no_questions():
    formulas = {"f": replace(CONTEST.formula, accuracy=0.0, memory=0.5, speed=0.5)}
    contest = replace(CONTEST, scoring=replace(CONTEST.scoring, formula="f", formulas=formulas))
    base, reference = pair(3)
    found = power.resolution(base, reference, contest, "all")
    assert (found.accuracy_error, found.accuracy_share) == (0.0, 0.0)
    assert found.smallest > 0


def test_entries_that_answer_alike_are_counted_as_by_the_rule_of_three():
    generator = random.Random(5)
    base, same = entry(generator, questions=150), entry(generator, questions=150)
    found = power.resolution(base, same, CONTEST, "all")
    weights = [b.weight for b in CONTEST.benchmarks]
    assert found.bounded
    expected = CONTEST.formula.accuracy * math.sqrt(3) * math.hypot(*weights) / 150 / 0.5
    assert found.accuracy_error == pytest.approx(expected)
    assert not power.resolution(*pair(1), CONTEST, "all").bounded
