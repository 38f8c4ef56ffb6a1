"""The formula, its interval, and ranks."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.contest import Formula, Text
from grader.scoring.parts import is_public
from grader.scoring.score import ScoreError, replicates, score
from tests.factories_pure import demo, report

CONTEST = demo()


def test_base_model_against_itself_scores_exactly_its_accuracy_weight():
    result = score(report(pairs=[(1, 1), (0, 0)] * 20, rounds=[(1.0, 1.0)] * 6,
                          checkpoint_bytes=1000), CONTEST)  # fmt: skip
    assert {term.name: term.value for term in result.terms} == {
        "accuracy": 1.0,
        "memory": 0.0,
        "speed": 0.0,
    }
    assert result.value == CONTEST.formula.accuracy
    assert result.half_width == 0.0


def test_terms_follow_the_published_formula():
    pairs = [(1, 1)] * 30 + [(0, 1)] * 10 + [(1, 0)] * 5 + [(0, 0)] * 5
    result = score(report(pairs=pairs, rounds=[(1.0, 2.0)] * 6, checkpoint_bytes=250), CONTEST)
    assert result.term("accuracy").value == pytest.approx(35 / 40)
    assert result.term("memory").value == 0.75
    assert result.term("speed").value == pytest.approx(0.5)
    assert result.value == pytest.approx(0.6 * 35 / 40 + 0.2 * 0.75 + 0.2 * 0.5)
    assert sum(term.points for term in result.terms) == pytest.approx(result.value)


def test_slower_and_larger_than_the_base_never_scores_below_zero():
    bad = report(pairs=[(0, 1)] * 40, rounds=[(9.0, 1.0)] * 6, checkpoint_bytes=5000)
    assert score(bad, CONTEST).value == 0.0


def test_same_report_gives_the_same_interval():
    assert score(report(), CONTEST) == score(report(), CONTEST)


def drawn_answers(generator, n=160):
    """Independent answers for every benchmark: the candidate is right in 70 %, the base model in 80 %."""
    return {
        benchmark.id: [
            (float(generator.random() < 0.7), float(generator.random() < 0.8)) for _ in range(n)
        ]
        for benchmark in CONTEST.benchmarks
    }


def test_interval_covers_the_truth_about_as_often_as_it_says():
    generator, covered, n = random.Random(7), 0, 50
    truth = 0.6 * 0.7 / 0.8 + 0.2 * 0.5 + 0.2 * (1 - 1 / 1.5)
    for trial in range(n):
        rounds = [
            (math.exp(generator.gauss(0, 0.03)), 1.5 * math.exp(generator.gauss(0, 0.03)))
            for _ in range(10)
        ]
        pairs = drawn_answers(generator)
        result = score(report(pairs=pairs, rounds=rounds, content=str(trial)), CONTEST)
        covered += abs(result.value - truth) <= result.half_width
    assert covered / n >= 0.88  # nominally 0.95


def test_more_questions_narrow_the_interval():
    few, many = ([(1, 1), (0, 1), (1, 0), (1, 1)] * k for k in (10, 160))
    widths = [score(report(pairs=p), CONTEST).term("accuracy").half_width for p in (few, many)]
    assert widths[1] < widths[0] / 3


@pytest.mark.parametrize("missing", ["quality", "speed"])
def test_report_without_a_part_of_the_formula_is_refused_by_name(missing):
    with pytest.raises(ScoreError, match="missing from the report"):
        score(replace(report(), **{missing: ()}), CONTEST)


def test_base_that_knows_nothing_gives_no_ratio():
    with pytest.raises(ScoreError, match="no denominator"):
        score(report(pairs=[(1, 0)] * 10), CONTEST)


weights = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda w: (min(w), max(w)))


@settings(deadline=None)
@given(weights)
def test_score_is_the_weighted_sum_for_any_weights(cuts):
    low, high = cuts
    formula = Formula(Text("", ""), low, high - low, 1.0 - high)
    result = score(report(), CONTEST, formula)
    expected = sum(getattr(formula, t.name) * t.value for t in result.terms)
    assert result.value == pytest.approx(max(0.0, expected))
    assert result.half_width <= 1.1 * max(t.half_width for t in result.terms) + 1e-12


def test_parts_are_scored_apart_and_memory_and_speed_are_shared():
    answers = {b.id: [(1.0, 1.0)] * 200 for b in CONTEST.benchmarks}
    measured = report(pairs=answers)
    spoilt = []
    for benchmark, result in zip(CONTEST.benchmarks, measured.quality, strict=True):
        items = tuple(
            replace(i, value=float(is_public(CONTEST, benchmark, i.doc_hash))) for i in result.items
        )
        spoilt.append(replace(result, items=items))
    measured = replace(measured, quality=tuple(spoilt))
    public, private, both = (score(measured, CONTEST, part=p) for p in ("public", "private", "all"))
    assert public.term("accuracy").value == 1.0
    assert private.term("accuracy").value == 0.0
    assert 0.3 < both.term("accuracy").value < 0.7
    assert public.term("speed") == private.term("speed") == both.term("speed")


def test_a_benchmark_without_questions_in_a_part_is_left_out_of_it():
    first, second = (replace(b, weight=0.5) for b in CONTEST.benchmarks[:2])
    contest = replace(
        CONTEST, benchmarks=(replace(first, public_share=1.0), replace(second, public_share=0.0))
    )
    answers = {b.id: [(1.0, 1.0)] * 10 for b in CONTEST.benchmarks}
    answers[second.id] = [(0.0, 1.0)] * 10
    assert score(report(pairs=answers), contest, part="public").term("accuracy").value == 1.0
    assert score(report(pairs=answers), contest, part="private").term("accuracy").value == 0.0


def with_cap(cap):
    return replace(CONTEST, scoring=replace(CONTEST.scoring, accuracy_cap=cap))


LEARNT = [(1.0, 1.0)] * 96 + [(1.0, 0.0)] * 64  # all right; the base model 0.6


def test_accuracy_counts_up_to_what_the_base_models_interval_allows():
    term = score(report(pairs=LEARNT), CONTEST).term("accuracy")
    assert term.measured / term.base == pytest.approx(1 / 0.6)
    assert term.capped
    assert term.value == term.cap
    # per benchmark √(0.6 · 0.4 / 160) = 0.0387; their weights are 0.8 and 0.2
    half_width = 1.96 * 0.0387 * math.hypot(0.8, 0.2)
    assert term.cap == pytest.approx(1 + half_width / 0.6, rel=0.02)
    assert term.half_width == 0.0  # every replicate was cut


def test_a_contest_lifts_the_cap_or_sets_its_own():
    for cap, value in (("none", 1 / 0.6), (1.0, 1.0), (1.3, 1.3), (2.0, 1 / 0.6)):
        term = score(report(pairs=LEARNT), with_cap(cap)).term("accuracy")
        assert term.value == pytest.approx(value)
        assert term.capped == (value < 1 / 0.6 - 1e-9)


def test_what_is_not_above_the_cap_scores_as_without_it():
    honest = report(pairs=[(1, 1)] * 90 + [(0, 1)] * 6 + [(1, 0)] * 6 + [(0, 0)] * 58)
    capped, free = score(honest, CONTEST), score(honest, with_cap("none"))
    assert (capped.value, capped.term("accuracy").capped) == (free.value, False)
    assert capped.half_width <= free.half_width


answers = st.lists(
    st.tuples(st.sampled_from((0.0, 1.0)), st.sampled_from((0.0, 1.0))), min_size=8, max_size=60
)
caps = st.one_of(st.sampled_from(["base", "none"]), st.floats(1.0, 3.0))


@settings(deadline=None, max_examples=40)
@given(answers, caps, st.data())
def test_accuracy_rises_with_right_answers_and_never_above_the_cap(pairs, cap, data):
    pairs = [*pairs, (1.0, 1.0)]  # the base model knows something
    contest = with_cap(cap)
    before = score(report(pairs=pairs), contest)
    at = data.draw(st.integers(0, len(pairs) - 1))
    better = [(1.0, base) if i == at else (own, base) for i, (own, base) in enumerate(pairs)]
    after = score(report(pairs=better), contest)
    assert after.value >= before.value
    for term in (before.term("accuracy"), after.term("accuracy")):
        limit = math.inf if term.cap is None else term.cap
        assert term.value == min(limit, term.measured / term.base)
        drawn = replicates(report(pairs=better), contest, "all")["accuracy"]
        assert drawn.max() <= limit + 1e-6  # stored as float32


def test_where_a_wholly_private_benchmark_is_left_out_accuracy_is_the_mean_of_the_others():
    answers = {b.id: [(1.0, 1.0)] * 40 for b in CONTEST.benchmarks}
    answers[CONTEST.benchmarks[2].id] = [(0.0, 1.0)] * 40
    public = score(report(pairs=answers), CONTEST, part="public").term("accuracy")
    assert (public.value, public.measured, public.base) == (1.0, 1.0, 1.0)
