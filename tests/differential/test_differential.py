"""The checker and the engine agree on every config, or the difference is listed in ``known.py``."""

from __future__ import annotations

from tests.differential import compare
from tests.differential.cases import cases
from tests.differential.known import KNOWN


def test_every_difference_is_explained_and_every_explanation_needed():
    outcome = compare.run(cases())
    assert list(map(str, outcome.unexplained)) == []
    assert outcome.stale == []
    assert outcome.count > 200


def test_explanations_have_one_name_each_and_say_whether_they_stay():
    assert len({known.name for known in KNOWN}) == len(KNOWN)
    for known in KNOWN:
        assert known.reason.startswith(("stricter on purpose: ", "not yet: "))
        if not known.kind.startswith("refused"):
            assert known.reason.startswith("not yet: ")


def test_packed_values_come_back_whatever_the_tool_says_of_its_zeros():
    assert compare.ask_engine("tests.differential.values") == {
        "gptq, zeros stored as 7": True,
        "gptq, zeros stored as 8": True,
        "awq": True,
        "awq, symmetric": True,
    }
