"""Text in both languages of the site."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """Text for people, in English and Korean; ``text("ko-kr")`` selects one."""

    en: str
    ko: str

    def __call__(self, language: str) -> str:
        return self.ko if language.startswith("ko") else self.en
