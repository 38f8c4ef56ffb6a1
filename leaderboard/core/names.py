"""Names that other people read: of teams, people, entries and files. None looks like another's or like nothing.

Two names are alike if they differ only in case or every letter of one looks like the letter of the other
(Unicode's UTS 39: Cyrillic а and Latin a, 0 and O, rn and m). Names from before this rule stay as they are;
only a new one is compared with them.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from pathlib import Path

# No ink: letters, marks and symbols that every font draws as nothing, besides the categories C and Z.
_BLANK = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),  # combining grapheme joiner
        (0x115F, 0x1160),  # Hangul fillers, to which NFKC also brings U+3164 and U+FFA0
        (0x17B4, 0x17B5),  # Khmer inherent vowels
        (0x180B, 0x180F),  # Mongolian variation selectors
        (0x2800, 0x2800),  # braille pattern blank
        (0x3164, 0x3164),
        (0xFFA0, 0xFFA0),
        (0x1D159, 0x1D159),  # musical symbol null notehead
        (0xE0000, 0xE0FFF),  # tags and variation selectors
    )
    for code in range(first, last + 1)
)
# These only choose between two drawings of the character before them, as in ❤️.
_VARIATIONS = dict.fromkeys(range(0xFE00, 0xFE10))
_INK = frozenset("LNPS")
MOST_MARKS = 3  # on one letter, as in Vietnamese and Hebrew; a stack of more covers the rows above


class BadName(ValueError):
    """The name has characters that cannot be seen, or none that can."""


def clean(name: str) -> str:
    """The name as it is stored: NFKC, single spaces.

    Raises:
        BadName: invisible, direction or control characters, a stack of marks, or nothing to see.
    """
    found = " ".join(unicodedata.normalize("NFKC", name.translate(_VARIATIONS)).split())
    marks, has_ink = (
        MOST_MARKS,
        False,
    )  # a mark without a letter before it is drawn over what precedes the name
    for one in found:
        kind = unicodedata.category(one)
        if one in _BLANK or kind[0] == "C" or (kind[0] == "Z" and one != " "):
            raise BadName(f"U+{ord(one):04X}")
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if marks > MOST_MARKS:
            raise BadName(f"U+{ord(one):04X}")
        has_ink = has_ink or kind[0] in _INK
    if not has_ink:
        raise BadName("")
    return found


def shown(text: str) -> str:
    """Text by somebody else, as far as it can be seen: what :func:`clean` refuses is left out."""
    normal = unicodedata.normalize("NFKC", text.translate(_VARIATIONS))
    seen = (
        " " if one.isspace() else one
        for one in normal
        if one.isspace() or not (one in _BLANK or unicodedata.category(one)[0] in "CZ")
    )
    return " ".join("".join(seen).split())


def alike(name: str, others: Iterable[str]) -> str | None:
    """The first of ``others`` that a reader could take ``name`` for."""
    looks = _looks(name)
    return next((other for other in others if looks & _looks(other)), None)


@functools.lru_cache(maxsize=20_000)
def _looks(name: str) -> frozenset[str]:
    """What the name looks like, as written and in small letters: I and l are alike, i and l are not."""
    normal = " ".join(unicodedata.normalize("NFKC", name).split())
    return frozenset(_skeleton(text) for text in (normal, normal.casefold()))


def _skeleton(text: str) -> str:
    """The text with every letter replaced by the one it looks like."""
    drawn = unicodedata.normalize("NFD", text)
    prototypes = "".join(_prototypes().get(one, one) for one in drawn if one not in _BLANK)
    return unicodedata.normalize("NFD", prototypes.casefold())


@functools.cache
def _prototypes() -> dict[str, str]:
    lines = (Path(__file__).parent / "confusables.txt").read_text("ascii").splitlines()
    rows = (line.split() for line in lines if not line.startswith("#"))
    return {chr(int(own, 16)): "".join(chr(int(c, 16)) for c in to) for own, *to in rows}
