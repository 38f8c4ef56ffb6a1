"""Public and private questions: the same split for everyone, in the right proportion."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.protocol.documents import Item
from grader.scoring.parts import has_private, is_public, places, questions
from tests.factories_pure import demo

CONTEST = demo()
BENCHMARK = CONTEST.benchmarks[0]


def items(n):
    return [Item(i, f"doc{i}", f"prompt{i}", 1.0, 1.0) for i in range(n)]


@given(st.text(), st.text(), st.floats(0, 1))
def test_every_question_is_in_exactly_one_part(salt, doc_hash, share):
    contest = replace(CONTEST, split_salt=salt)
    benchmark = replace(BENCHMARK, public_share=share)
    (item,) = [Item(0, doc_hash, "", 1.0, 1.0)]
    parts = [questions(contest, benchmark, [item], part) for part in ("public", "private")]
    assert sorted(map(len, parts)) == [0, 1]
    assert questions(contest, benchmark, [item], "all") == [item]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_the_share_is_met(share):
    public = questions(CONTEST, replace(BENCHMARK, public_share=share), items(4000), "public")
    assert len(public) / 4000 == pytest.approx(share, abs=0.03)


def test_a_question_stays_where_it_is_when_others_come_or_go():
    many = questions(CONTEST, BENCHMARK, items(400), "public")
    few = questions(CONTEST, BENCHMARK, items(100), "public")
    assert few == [item for item in many if item.doc_id < 100]


def test_another_salt_or_benchmark_splits_otherwise():
    other = replace(CONTEST, split_salt="another")
    sides = [
        [is_public(contest, benchmark, f"doc{i}") for i in range(64)]
        for contest, benchmark in (
            (CONTEST, BENCHMARK),
            (other, BENCHMARK),
            (CONTEST, CONTEST.benchmarks[1]),
        )
    ]
    assert sides[0] != sides[1] != sides[2] != sides[0]


def test_whether_anything_is_private():
    assert has_private(CONTEST)
    open_to_all = tuple(replace(b, public_share=1.0, twin_of="") for b in CONTEST.benchmarks)
    assert not has_private(replace(CONTEST, benchmarks=open_to_all))


@pytest.mark.parametrize("part", ["public", "private", "all"])
def test_an_excluded_question_counts_in_no_part_and_the_others_stay_where_they_are(part):
    some = items(40)
    excluded = replace(BENCHMARK, exclude_docs=(3, 17, 999))
    expected = [i for i in questions(CONTEST, BENCHMARK, some, part) if i.doc_id not in (3, 17)]
    assert questions(CONTEST, excluded, some, part) == expected


@given(st.sets(st.integers(0, 40)), st.floats(0, 1), st.sampled_from(["public", "private", "all"]))
def test_places_say_the_same_as_questions(excluded, share, part):
    benchmark = replace(BENCHMARK, exclude_docs=tuple(sorted(excluded)), public_share=share)
    some = items(30)
    columns = tuple(i.doc_id for i in some), tuple(i.doc_hash for i in some)
    at = places(CONTEST.split_salt, benchmark, *columns, part)
    assert [some[i] for i in at] == questions(CONTEST, benchmark, some, part)
