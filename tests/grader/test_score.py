"""The formula, its interval, and ranks."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.contest import Formula, Text
from grader.score import ScoreError, combine, order_key, rank, score
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
    """Independent answers for every benchmark: the candidate right in 70 %, the base in 80 %."""
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
    assert covered / n >= 0.88  # nominal 0.95


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


@given(weights)
def test_score_is_the_weighted_sum_for_any_weights(cuts):
    low, high = cuts
    formula = Formula(Text("", ""), low, high - low, 1.0 - high)
    terms = score(report(), CONTEST).terms
    result = combine(terms, formula)
    expected = sum(getattr(formula, t.name) * t.value for t in terms)
    assert result.value == pytest.approx(max(0.0, expected))
    assert result.half_width <= max(t.half_width for t in terms) + 1e-12


def test_equal_scores_are_ordered_by_size_then_by_time():
    entries = [
        ("late", 0.7, 10, 2.0),
        ("big", 0.7, 11, 1.0),
        ("early", 0.7, 10, 1.0),
        ("best", 0.8, 99, 9.0),
    ]
    ordered = sorted(entries, key=lambda e: order_key(*e[1:]))
    assert [name for name, *_ in ordered] == ["best", "early", "late", "big"]


def test_entries_within_the_interval_of_their_difference_are_tied():
    standings = rank([(0.80, 0.01), (0.79, 0.01), (0.70, 0.01)], [True] * 3)
    assert [(s.rank, s.tied) for s in standings] == [(1, False), (2, True), (3, False)]
    assert [(s.best, s.worst) for s in standings] == [(1, 2), (1, 2), (3, 3)]


def test_organisers_entries_take_no_rank_from_a_team():
    standings = rank([(0.9, 0.0), (0.8, 0.0), (0.7, 0.0)], [True, False, True])
    assert [s.rank for s in standings] == [1, 2, 2]
    assert [(s.best, s.worst) for s in standings] == [(1, 1), (2, 2), (2, 2)]


def test_teams_of_equal_truth_get_rank_intervals_that_overlap():
    generator, overlapping, n = random.Random(3), 0, 10
    for trial in range(n):
        scored = []
        for team in range(4):
            pairs = drawn_answers(generator)
            result = score(report(pairs=pairs, content=f"{trial} {team}"), CONTEST)
            scored.append((result.value, result.half_width))
        standings = rank(sorted(scored, reverse=True), [True] * 4)
        overlapping += max(s.best for s in standings) <= min(s.worst for s in standings)
    assert overlapping / n >= 0.9
