"""Packed measurements equal those of the report bit for bit, and so do their scores, alone or in a batch."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.scoring import bootstrap, inputs, packing
from grader.scoring.inputs import Answers, Measurements
from grader.scoring.score import ScoreError, by_part, many
from tests import factories

VALUES = st.one_of(
    st.sampled_from([0.0, 1.0]), st.floats(0, 1), st.floats(0, 100, allow_subnormal=False)
)


def again(found, shared):
    return packing.unpack(
        found,
        lambda digest: packing.questions_of(shared[digest]),
        lambda digest, count: packing.numbers_of(shared[digest], count),
    )


def plain(found):
    """Convert arrays to lists for comparison."""
    return {
        name: (tuple(a.doc_ids), tuple(a.hashes), list(a.values), list(a.base_values))
        for name, a in found.answers.items()
    }, dataclasses.astuple(found)[1:]


@settings(deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=40), st.integers(1, 2**40))
def test_what_is_unpacked_is_what_was_packed(values, size):
    own, base = ([float(v) for v in column] for column in zip(*values, strict=True))
    hashes = [hashlib.sha256(bytes([i])).hexdigest() for i in range(len(own))]
    found = Measurements(
        {"a": Answers(list(range(len(own))), hashes, own, base), "b": Answers([7], ["h"], [1.0], [0.0])},
        size, 2 * size, {"latency": [0.1, -0.25]},
    )  # fmt: skip
    packed, shared = packing.pack(found)
    assert plain(again(packed, shared)) == plain(found)


def test_a_report_of_thousands_of_questions_is_a_kilobyte_and_shares_the_rest():
    hashes = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(6462)]
    found = [
        Measurements({"a": Answers(range(6462), hashes, [float(i % k == 0) for i in range(6462)],
                                   [1.0] * 6462)}, 1, 2, {})
        for k in (2, 3)
    ]  # fmt: skip
    (first, shared), (second, same) = map(packing.pack, found)
    assert len(first.values) < 1000 and first.values != second.values
    assert shared == same


@pytest.fixture
def town(db):
    contest = factories.contest()
    reports = [
        inputs.of(factories.report(contest=contest, seed=s, speedup=x, accuracy=a))
        for s, x, a in ((1, 1.4, 0.4), (2, 0.4, 0.1), (3, 2.2, 0.42))
    ]
    benchmark = contest.rules.benchmarks[0].id
    answers = reports[2].answers[benchmark]
    thirds = dataclasses.replace(answers, values=[i % 4 / 3 for i in range(len(answers.values))])
    reports[2] = dataclasses.replace(reports[2], answers={**reports[2].answers, benchmark: thirds})
    fewer = dataclasses.replace(
        answers, doc_ids=answers.doc_ids[1:], hashes=answers.hashes[1:],
        values=answers.values[1:], base_values=answers.base_values[1:],
    )  # fmt: skip
    reports.append(
        dataclasses.replace(reports[2], answers={**reports[2].answers, benchmark: fewer})
    )
    return contest.rules, reports


def test_scores_do_not_depend_on_the_company_nor_on_the_packing(town):
    rules, reports = town
    alone = [by_part(report, rules) for report in reports]
    assert many(reports, rules) == alone
    packed = [again(*packing.pack(report)) for report in reports]
    assert many(packed[::-1], rules) == alone[::-1]
    assert len({one.replicates for one, _ in alone}) == len(alone)


def test_one_report_that_lacks_a_benchmark_is_refused(town):
    rules, reports = town
    broken = dataclasses.replace(reports[0], answers={})
    with pytest.raises(ScoreError, match="is missing"):
        many([*reports, broken], rules)


@given(st.lists(st.lists(VALUES, min_size=5, max_size=5), min_size=2, max_size=6))
@settings(deadline=None)
def test_replicates_of_a_row_are_its_own(rows):
    hashes = [str(i) for i in range(5)]
    together = bootstrap.of_questions("b", hashes, bootstrap.matrix(rows))
    for row, drawn in zip(rows, together, strict=True):
        assert (bootstrap.of_questions("b", hashes, bootstrap.matrix([row]))[0] == drawn).all()
