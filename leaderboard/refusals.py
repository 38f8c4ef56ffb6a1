"""What an organiser's act is refused with: a stable code, a sentence, a hint; nothing was changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


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
