"""One error for all refusals: its texts, its status, and the three ways it is shown."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.utils.translation import override

from grader.problems.catalogue import CATALOGUE
from leaderboard.core import catalogue
from leaderboard.core.errors import Refused

SITE = Path(catalogue.__file__).parents[1]


def codes_raised():
    """Every code that the site's source names in ``Refused(…)`` or ``refuse_final(…)``."""
    for file in SITE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                given = node.args[{"Refused": 0, "refuse_final": 1}.get(name, 99) :][:1]
                if given and isinstance(given[0], ast.Constant):
                    yield str(given[0].value), {keyword.arg for keyword in node.keywords}


def test_every_code_that_is_raised_has_words():
    found = list(codes_raised())
    assert len(found) > 60
    for code, keywords in found:
        assert "words" in keywords or code in catalogue.WORDS or code in CATALOGUE, code


def test_no_word_and_no_status_is_left_over():
    raised = {code for code, _ in codes_raised()}
    assert set(catalogue.WORDS) - raised == set()
    assert set(catalogue.STATUS) - raised - set(CATALOGUE) == set()
    assert set(catalogue.WORDS) & set(CATALOGUE) == set(), "two owners of the same words"
    assert catalogue.CONFLICT not in catalogue.STATUS.values(), "the default"


def test_a_problem_of_the_graders_catalogue():
    error = Refused("UPLOAD_QUOTA", "5/5, 0/20")
    kind = CATALOGUE["UPLOAD_QUOTA"]
    for language in ("en", "ko"):
        with override(language):
            message, hint = f"{kind.sentence(language)} (5/5, 0/20)", kind.hint(language)
            assert error.body == {"code": "UPLOAD_QUOTA", "message": message, "hint": hint}
            assert error.line == f"{message} {hint} (UPLOAD_QUOTA)"
            assert str(error) == f"UPLOAD_QUOTA: {message} {hint}"
    assert error.status == 429


def test_a_code_of_the_site_with_values_and_more_for_the_body():
    error = Refused("BATCH_LATE_ENTRIES", count=3, batch=7, extra={"batch": 7})
    with override("en"):
        assert error.message == "3 entries were scored after batch #7 started."
        assert error.body["batch"] == 7
    with override("ko"):
        assert "#7" in error.message and "entries" not in error.message
    assert error.status == catalogue.CONFLICT


def test_words_that_no_catalogue_has_are_taken_as_they_are():
    error = Refused("MALFORMED", status=422, words=("100% wrong", "See %(docs)s."))
    assert (error.message, error.hint, error.status) == ("100% wrong", "See %(docs)s.", 422)


def test_a_code_that_is_nowhere_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        str(Refused("NO_SUCH_CODE"))
