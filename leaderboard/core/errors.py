"""The site's one error type for refusals: a stable code, a sentence, a hint, an HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ninja import Schema

from leaderboard.core import catalogue


class ErrorOut(Schema):
    """Every refusal: a stable code, a sentence, a hint."""

    code: str
    message: str
    hint: str


class Refused(Exception):
    """The request is refused, and nothing was changed.

    Args:
        code: from the catalog, which also has the texts, and the status unless one is given.
        detail: facts as numbers and names (``7 > 5``); language-neutral.
        status: the HTTP status.
        words: sentence and hint in the reader's language, for a code that is not in the catalog.
        extra: more members of the JSON document.
        values: for the placeholders in the texts.
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
        """What went wrong."""
        sentence = self._worded()[0]
        return f"{sentence} ({self.detail})" if self.detail else sentence

    @property
    def hint(self) -> str:
        """What to do next."""
        return self._worded()[1]

    @property
    def line(self) -> str:
        """The whole error in one line of a page."""
        return f"{self.message} {self.hint} ({self.code})"

    @property
    def body(self) -> dict[str, Any]:
        """The whole error as JSON, in the shape that every API error has."""
        error = ErrorOut(code=self.code, message=self.message, hint=self.hint)
        return {**error.dict(), **self.extra}

    def __str__(self) -> str:
        """The whole error in one line of a terminal or a log."""
        return f"{self.code}: {self.message} {self.hint}"

    def _worded(self) -> tuple[str, str]:
        sentence, hint = self._words or catalogue.words_of(self.code)
        return (sentence % self._values, hint % self._values) if self._values else (sentence, hint)
