"""The one shape of every error body."""

from __future__ import annotations

from django.utils.translation import get_language

from grader.problems import CATALOGUE, Problem


def error_body(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


def problem_body(problem: Problem) -> dict[str, str]:
    """A catalogued problem in the reader's language."""
    kind, language = CATALOGUE[problem.code], get_language() or "en"
    message = kind.sentence(language)
    if problem.detail:
        message = f"{message} ({problem.detail})"
    return error_body(problem.code, message, kind.hint(language))


def described(problem: dict[str, str]) -> dict[str, str]:
    """A stored problem with its stage, sentence and hint in the reader's language."""
    language = get_language() or "en"
    kind = CATALOGUE[problem["code"]]
    return {
        **problem,
        "stage": kind.stage.value,
        "fault": kind.fault.value,
        "sentence": kind.sentence(language),
        "hint": kind.hint(language),
    }
