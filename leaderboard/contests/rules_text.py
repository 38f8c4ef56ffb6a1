"""The organizers' own rules page: ``rules.md`` and ``rules.ko.md`` next to the contest file, as HTML.

This text is only informative. The contest file itself is what counts, and is stored in versions; the text is
not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from grader.contest import Contest as Rules

MOST_BYTES = 200_000
LANGUAGES = ("en", "ko")


@dataclass(frozen=True, slots=True)
class Prose:
    """HTML and its language, which is the other one if there is no translation."""

    html: SafeString
    language: str


def of(rules: Rules, language: str) -> Prose | None:
    """The contest's own text, in the reader's language if available; None without a file."""
    wanted = "ko" if language.startswith("ko") else "en"
    for code in sorted(LANGUAGES, key=lambda code: code != wanted):
        name = "rules.md" if code == "en" else f"rules.{code}.md"
        for path in (rules.folder / rules.id / name, rules.folder / name):
            if path.is_file():
                return Prose(_rendered(path, path.stat().st_mtime_ns), code)
    return None


@lru_cache(maxsize=32)
def _rendered(path: Path, _changed_ns: int) -> SafeString:
    with path.open("rb") as file:
        text = file.read(MOST_BYTES).decode("utf-8", "replace")
    return mark_safe(html(text))  # noqa: S308 - raw HTML is escaped, addresses are checked by markdown-it


def html(text: str) -> str:
    """CommonMark with tables. HTML is shown as text, images are dropped, headings start at h2."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    rendered: str = markdown.renderer.render(_framed(tokens), markdown.options, {})
    return rendered


def _framed(tokens: list[Token]) -> list[Token]:
    """Wrap tables in a scrolling frame so that none is wider than a phone."""
    found: list[Token] = []
    for token in tokens:
        if token.type == "table_open":
            found.append(Token("scroll_open", "div", 1, {"class": "scroll"}))
        found.append(token)
        if token.type == "table_close":
            found.append(Token("scroll_close", "div", -1))
    return found
