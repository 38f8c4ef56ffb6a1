"""The one error of the site that people are told of: a stable code, a sentence, a hint, an HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ninja import Schema

from leaderboard.core import catalogue


class ErrorOut(Schema):
    """Every refusal: a stable code, a sentence, what to do next."""

    code: str
    message: str
    hint: str


class Refused(Exception):
    """What was asked for is refused, and nothing was changed.

    Args:
        code: of the catalogue; so are the words, and the status unless one is given.
        detail: facts in numbers and names (``7 > 5``); language-neutral.
        status: the HTTP status that says so.
        words: sentence and hint in the reader's language, for a code that is in no catalogue.
        extra: what the JSON document says besides.
        values: fill the words' placeholders.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        status: int | None = None,
        words: tuple[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        **values: object,
    ) -> None:
        super().__init__(code)
        self.code, self.detail, self.extra = code, detail, extra or {}
        self.status = status or catalogue.STATUS.get(code, catalogue.CONFLICT)
        self._words, self._values = words, values

    @property
    def message(self) -> str:
        """What is so."""
        sentence = self._worded()[0]
        return f"{sentence} ({self.detail})" if self.detail else sentence

    @property
    def hint(self) -> str:
        """What to do next."""
        return self._worded()[1]

    @property
    def line(self) -> str:
        """All of it in one line of a page."""
        return f"{self.message} {self.hint} ({self.code})"

    @property
    def body(self) -> dict[str, Any]:
        """All of it as the JSON document that every error of the site is."""
        error = ErrorOut(code=self.code, message=self.message, hint=self.hint)
        return {**error.dict(), **self.extra}

    def __str__(self) -> str:
        """All of it in one line of a terminal or a log."""
        return f"{self.code}: {self.message} {self.hint}"

    def _worded(self) -> tuple[str, str]:
        sentence, hint = self._words or catalogue.words_of(self.code)
        return (sentence % self._values, hint % self._values) if self._values else (sentence, hint)
