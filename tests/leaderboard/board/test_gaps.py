"""What differs between readers of one remembered page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leaderboard.board import gaps


def test_gaps_are_filled_with_what_belongs_to_the_reader():
    pieces = gaps.cut(f"<p>{gaps.gap('name')}, {gaps.gap('mark-7')}{gaps.gap('name')}</p>")
    assert gaps.filled(pieces, {"name": "김민지"}).decode() == "<p>김민지, 김민지</p>"
    assert gaps.filled(pieces, {"name": "a", "mark-7": "b"}) == b"<p>a, ba</p>"


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_what_people_write_is_never_a_gap(text):
    assert gaps.filled(gaps.cut(f"{text}{gaps.gap('x')}"), {"x": "!"}).decode() == f"{text}!"
