"""What somebody is refused with: a stable code, a sentence, a hint; nothing was changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import get_language

from grader.problems.catalogue import CATALOGUE, Problem

SAME = "UPLOAD_SAME"


class Refusal(Exception):
    """Refused, and nothing was changed.

    Attributes:
        texts: sentence and hint (lazy translations) by code.
        code: stable, a key of ``texts``.
        message: what is so; ``hint``: what to do next. In the reader's language.
    """

    texts: ClassVar[Mapping[str, tuple[object, object]]]

    def __init__(self, code: str, **values: object) -> None:
        sentence, hint = self.texts[code]
        self.code, self.message, self.hint = code, str(sentence) % values, str(hint) % values
        super().__init__(f"{code}: {self.message} {self.hint}")


def error_body(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


def problem_body(problem: Problem) -> dict[str, str]:
    """A catalogued problem in the reader's language."""
    kind, language = CATALOGUE[problem.code], get_language() or "en"
    message = kind.sentence(language)
    if problem.detail:
        message = f"{message} ({problem.detail})"
    return error_body(problem.code, message, kind.hint(language))


def refusal_body(error: Refused) -> dict[str, Any]:
    """A refusal; one of something the team has entered before names that entry."""
    body: dict[str, Any] = {**problem_body(error.problem)}
    if isinstance(error, Same):
        body["submission"] = error.submission
    return body


class Refused(Exception):
    """The archive was not taken; ``problem`` says why, ``status`` is the HTTP status for it."""

    def __init__(self, problem: Problem, status: int) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.status = status


def same_as(submission: int) -> Problem:
    return Problem(SAME, detail=f"#{submission}")


class Same(Refused):
    """The team has entered exactly this before, as ``submission``; ``again`` measures it all the same."""

    def __init__(self, submission: int) -> None:
        super().__init__(same_as(submission), 409)
        self.submission = submission
