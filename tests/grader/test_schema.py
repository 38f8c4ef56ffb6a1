"""Documents that cross trust boundaries: encoding round-trips, and nothing else is accepted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import Progress, Report, Round
from grader.protocol.worker import GradeJob
from grader.schema import LATER, SchemaError, decode, encode

text = st.text(max_size=20)
problems = st.builds(Problem, code=text, where=text, detail=text)
progress = st.builds(
    Progress,
    stage=st.sampled_from(Stage),
    done=st.integers(0, 10**9),
    total=st.integers(0, 10**9),
    note=text,
)


@given(st.one_of(problems, progress))
def test_decode_is_the_inverse_of_encode_through_json(value):
    assert decode(type(value), json.loads(json.dumps(encode(value)))) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    )
)
def test_any_document_is_accepted_or_refused_by_name(data):
    for cls in (GradeJob, Report, Progress):
        try:
            assert isinstance(decode(cls, data), cls)
        except SchemaError as error:
            assert str(error)


def test_whole_report_survives_json():
    from tests.factories_pure import report

    assert decode(Report, json.loads(json.dumps(encode(report())))) == report()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"base_first": True, "candidate_s": 1.0}, "base_s: missing"),
        ({"base_first": 1, "candidate_s": 1.0, "base_s": 1.0}, "expected bool, found int"),
        ({"base_first": True, "candidate_s": "1", "base_s": 1}, "expected float, found str"),
        ({"base_first": True, "candidate_s": float("nan"), "base_s": 1}, "must be a finite number"),
        ({"base_first": True, "candidate_s": 1, "base_s": 1, "x": 0}, "x: unknown key"),
        ([], "expected a table, found list"),
        (None, "expected a table, found null"),
    ],
)
def test_wrong_document_is_refused_with_its_place(data, message):
    with pytest.raises(SchemaError, match=message):
        decode(Round, data)


def test_integers_are_welcome_where_numbers_are_wanted():
    assert decode(Round, {"base_first": True, "candidate_s": 1, "base_s": 2}).base_s == 2.0


@dataclass(frozen=True)
class Grown:
    name: str
    count: int = field(default=1, metadata=LATER)


def test_a_later_field_is_written_only_where_it_is_used():
    """An older release refuses keys that it does not know."""
    assert encode(Grown("a")) == {"name": "a"}
    assert encode(Grown("a", 2)) == {"name": "a", "count": 2}
    assert decode(Grown, {"name": "a"}) == Grown("a", 1)
    assert decode(Grown, {"name": "a", "count": 1}) == Grown("a", 1)
