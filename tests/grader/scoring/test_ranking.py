"""Ranks, rank intervals and ties: paired by question, with realistic noise."""

from __future__ import annotations

import math
import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import contest as rules
from grader.scoring.bootstrap import RESAMPLES, packed
from grader.scoring.ranking import Contender, order_key, rank
from grader.scoring.score import score
from tests.factories_pure import report


def without_the_twin():
    """The demo with two benchmarks, whose questions are drawn each for itself."""
    path = rules.find("demo")
    text, rest = path.read_text("utf-8").split("# Questions that nobody outside has seen.")
    text = text.replace("weight = 0.64", "weight = 0.8").replace("weight = 0.16", "weight = 0.2")
    return rules.parse(text + rest[rest.index("[speed]") :], path.parent, "demo-2026")


CONTEST = without_the_twin()


def contenders(*scores):
    return [Contender(value, half_width) for value, half_width in scores]


def measured(pairs, rounds=None):
    result = score(report(pairs=pairs, rounds=rounds), CONTEST)
    return Contender(result.value, result.half_width, result.replicates)


def standings(entries):
    ordered = sorted(entries, reverse=True)
    return rank(ordered, [True] * len(ordered))


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
    found = rank(contenders((0.80, 0.01), (0.79, 0.01), (0.70, 0.01)), [True] * 3)
    assert [(s.rank, s.tied) for s in found] == [(1, False), (2, True), (3, False)]
    assert [(s.best, s.worst) for s in found] == [(1, 2), (1, 2), (3, 3)]


def test_organisers_entries_take_no_rank_from_a_team():
    found = rank(contenders((0.9, 0.0), (0.8, 0.0), (0.7, 0.0)), [True, False, True])
    assert [s.rank for s in found] == [1, 2, 2]
    assert [(s.best, s.worst) for s in found] == [(1, 1), (2, 2), (2, 2)]


def test_an_empty_board():
    assert rank([], []) == []


def test_the_same_measurement_twice_is_a_tie():
    one = measured([(1, 1), (0, 1), (1, 0), (1, 1)] * 10)
    assert [(s.best, s.worst, s.tied) for s in standings([one, one])] == [
        (1, 2, False),
        (1, 2, True),
    ]


def test_pairing_tells_apart_what_overlapping_intervals_do_not():
    """Both miss the same hard questions, and the second misses twelve more."""
    hard = [(0, 1)] * 60 + [(1, 1)] * 100
    worse = [(0, 1)] * 72 + [(1, 1)] * 88
    steady = [(1.0, 2.0)] * 10
    first, second = measured(hard, steady), measured(worse, steady)
    assert first.value - first.half_width < second.value + second.half_width
    assert not rank([first, second], [True, True])[1].tied
    unpaired = [Contender(c.value, c.half_width) for c in (first, second)]
    assert rank(unpaired, [True, True])[1].tied


def test_one_checkpoint_measured_again_is_rarely_taken_for_another():
    """New rounds and some different answers: 95 % of the time that is a tie."""
    generator, torn, n = random.Random(11), 0, 200
    answers = [
        (float(generator.random() < 0.4), float(generator.random() < 0.42)) for _ in range(160)
    ]
    for _ in range(n):
        twice = []
        for _run in range(2):
            changed = set(generator.sample(range(160), 3))
            pairs = [
                (1 - own, b) if i in changed else (own, b) for i, (own, b) in enumerate(answers)
            ]
            rounds = [
                (math.exp(generator.gauss(0, 0.02)), 1.4 * math.exp(generator.gauss(0, 0.02)))
                for _ in range(8)
            ]
            twice.append(measured(pairs, rounds))
        torn += not standings(twice)[1].tied
    assert torn / n <= 0.05


def test_twenty_ties_in_a_row_stay_ties():
    """Holm: among many true ties, one pair in twenty would look different if each were judged alone."""
    generator, torn = random.Random(5), 0
    for _ in range(100):
        entries = contenders(*((generator.gauss(0.7, 0.005), 0.0098) for _ in range(20)))
        torn += any(not s.tied for s in standings(entries)[1:])
    assert torn <= 5


def test_teams_of_equal_truth_get_rank_intervals_that_overlap():
    generator, overlapping, n = random.Random(3), 0, 100
    for _ in range(n):
        hardness = [generator.random() for _ in range(160)]
        entries = []
        for _team in range(4):
            pairs = [(float(generator.gauss(h, 0.2) < 0.6), float(h < 0.7)) for h in hardness]
            rounds = [(math.exp(generator.gauss(0, 0.03)), 1.5) for _ in range(10)]
            entries.append(measured(pairs, rounds))
        found = standings(entries)
        overlapping += max(s.best for s in found) <= min(s.worst for s in found)
    assert overlapping / n >= 0.95


scores = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.1)), min_size=1, max_size=12)


@given(scores, st.randoms())
def test_a_rank_lies_in_its_own_interval_and_intervals_fall_with_the_order(values, lots):
    ordered = sorted(contenders(*values), reverse=True)
    counted = [lots.random() < 0.8 for _ in ordered]
    found = rank(ordered, counted)
    for standing, counts in zip(found, counted, strict=True):
        assert 1 <= standing.best <= standing.rank <= standing.worst
        assert standing.worst <= sum(counted) + (not counts)
    assert not found[0].tied


def test_a_contest_of_630_teams_is_ranked_in_no_time():
    generator = np.random.default_rng(1)
    shared = generator.normal(0, 0.01, RESAMPLES)
    entries = []
    for value in sorted(generator.uniform(0.4, 0.8, 630), reverse=True):
        drawn = value + shared + generator.normal(0, 0.003, RESAMPLES)
        entries.append(Contender(float(value), 0.02, packed(drawn)))
    started = time.perf_counter()
    found = rank(entries, [True] * 630)
    took = time.perf_counter() - started
    started = time.perf_counter()
    matrix = generator.normal(size=(630, RESAMPLES))
    for _ in range(20):
        matrix @ matrix.T
    assert took < max(time.perf_counter() - started, 1.0)  # a few matrix products rather than 630²
    assert found[0].rank == 1
    assert sum(s.worst - s.best for s in found) / 630 == pytest.approx(
        630 * 2 * 1.96 * 0.003 * math.sqrt(2) / 0.4, rel=0.2
    )
