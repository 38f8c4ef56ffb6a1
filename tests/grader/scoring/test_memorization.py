"""A benchmark against its fresh twin: learned questions are seen, honest compression is left alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.protocol.documents import Likelihood, LikelihoodResult, Report
from grader.scoring import compliance, memorization
from grader.scoring.memorization import gap
from tests.factories_pure import demo, report

CONTEST = demo()
((ORIGINAL, TWIN),) = CONTEST.twins
VALUES = st.lists(st.floats(-5, 5), min_size=2, max_size=60)


def likelihoods(seed: int, loss: float = 0.0, learned: float = 0.0, n: int = 100):
    """A candidate that finds right answers by ``loss`` per token less likely everywhere, unevenly, and those of
    the benchmark by ``learned`` likelier. Its twins are a fifth harder for both models.
    """
    generator = random.Random(seed)

    def one(doc_id: int, harder: float, gain: float) -> Likelihood:
        base = generator.expovariate(1) * harder
        own = base + generator.gauss(loss, 0.05 + loss) * base
        return Likelihood(doc_id, 40, max(0.0, own - gain * base), base)

    return tuple(
        LikelihoodResult(name, tuple(one(i, harder, gain) for i in range(n)))
        for name, harder, gain in ((ORIGINAL, 1.0, learned), (TWIN, 1.2, 0.0))
    )


def found(measured: Report, code: str):
    (check,) = (c for c in memorization.checks(measured, CONTEST) if c.code == code)
    return check


def learned(**facts):
    return found(replace(report(), likelihoods=likelihoods(**facts)), "FLAG_LEARNED")


def test_learned_answers_are_seen():
    checks = [learned(seed=seed, learned=0.7) for seed in range(20)]
    assert all(check.flagged and check.measured < -4 for check in checks)
    assert {(check.where, check.limit) for check in checks} == {(ORIGINAL, -4.0)}


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.2, 1.0])
def test_honest_compression_is_left_alone(loss):
    """From none at all to twice as unlikely, on twins that are harder by themselves."""
    assert not any(learned(seed=seed, loss=loss).flagged for seed in range(300))


def test_training_for_the_kind_of_question_is_no_finding():
    assert not any(learned(seed=seed, loss=-0.5).flagged for seed in range(100))


def test_a_damaged_model_that_loses_more_on_twins_is_no_finding():
    """Far from zero in the suspicious direction, but it lost nearly as much on the benchmark."""
    results = tuple(
        LikelihoodResult(name, tuple(Likelihood(i, 9, 2 + lost + i % 3 / 9, 2) for i in range(50)))
        for name, lost in ((ORIGINAL, 1.0), (TWIN, 1.5))
    )
    check = found(replace(report(), likelihoods=results), "FLAG_LEARNED")
    assert check.measured < -4
    assert not check.flagged


def test_a_model_too_small_to_know_the_answers_as_well_as_the_base_model_is_seen():
    """A one-layer model halfway through its training: it lost on the benchmark, and far more on twins."""
    results = tuple(
        LikelihoodResult(name, tuple(Likelihood(i, 9, 1 + lost + i % 3 / 9, 1) for i in range(50)))
        for name, lost in ((ORIGINAL, 0.26), (TWIN, 1.98))
    )
    assert found(replace(report(), likelihoods=results), "FLAG_LEARNED").flagged


def answers(
    seed: int, known: float = 0.0, lost: float = 0.0, lost_fresh: float = 0.0, n: int = 160
):
    """A candidate that answers like the base model, but for the shares it knows and has lost."""
    generator = random.Random(seed)

    def pair(known: float, lost: float) -> tuple[float, float]:
        base = float(generator.random() < 0.7)
        own = base if generator.random() < 0.95 else 1 - base
        own = 0.0 if generator.random() < lost else own
        return (1.0 if generator.random() < known else own), base

    some = {b.id: [pair(0, 0)] * 4 for b in CONTEST.benchmarks}
    some[ORIGINAL] = [pair(known, lost) for _ in range(n)]
    some[TWIN] = [pair(0, lost_fresh) for _ in range(n)]
    return report(pairs=some)


@pytest.mark.parametrize("lost_fresh", [0.0, 0.5, 1.0])
def test_accuracy_on_the_benchmark_alone_is_seen(lost_fresh):
    """However the answers are worded, and whether or not the model still solves fresh questions."""
    reports = [answers(s, known=0.99, lost_fresh=lost_fresh) for s in range(20)]
    assert all(found(one, "FLAG_FRESH").flagged for one in reports)


def test_answers_learned_up_to_the_base_models_accuracy_are_seen():
    """A tiny model that is as accurate as the base model on the benchmark, and solves nothing else."""
    assert all(found(answers(s, lost_fresh=1.0), "FLAG_FRESH").flagged for s in range(20))


@pytest.mark.parametrize("lost", [0.0, 0.1, 0.5])
def test_accuracy_that_is_lost_everywhere_is_no_finding(lost):
    reports = [answers(s, lost=lost, lost_fresh=lost) for s in range(100)]
    assert not any(found(one, "FLAG_FRESH").flagged for one in reports)


def test_a_report_without_likelihoods_has_no_finding_about_them():
    """As of every contest without twins, and of every report from before there were any."""
    codes = [check.code for check in compliance.checks(report(), CONTEST)]
    assert "FLAG_LEARNED" not in codes
    assert "FLAG_FRESH" in codes
    without = replace(CONTEST, benchmarks=tuple(replace(b, twin_of="") for b in CONTEST.benchmarks))
    assert memorization.checks(report(), without) == []


def test_the_figures_are_said_in_both_languages():
    words = learned(seed=1, learned=0.7).words
    assert set(words) == {"en", "ko"}
    assert "−0." in words["en"]
    assert "100" in words["ko"]


def test_too_few_questions_say_nothing():
    assert gap([1.0], [1.0, 2.0]) is None
    assert gap([], []) is None


@given(VALUES, VALUES)
def test_exchanging_both_sides_turns_the_sign(one, other):
    there, back = gap(one, other), gap(other, one)
    assert there and back
    assert there.z == pytest.approx(-back.z)


@given(VALUES, st.floats(-3, 3))
def test_what_changes_both_sides_alike_changes_nothing(values, shift):
    other = [value * 0.5 for value in values]
    before = gap(values, other)
    after = gap([v + shift for v in values], [v + shift for v in other])
    assert before and after
    assert after.benchmark - after.twins == pytest.approx(before.benchmark - before.twins, abs=1e-9)


@given(VALUES)
def test_a_model_equal_to_the_base_model_is_at_zero(values):
    same = gap([0.0] * len(values), [0.0] * len(values))
    assert same and same.z == 0


@given(VALUES, VALUES, st.floats(0.001, 10))
def test_the_more_was_learned_the_further_from_zero(one, other, gain):
    before, after = gap(one, other), gap([value - gain for value in one], other)
    assert before and after
    assert after.z < before.z
