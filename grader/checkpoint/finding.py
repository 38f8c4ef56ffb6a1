"""How the checker reports findings: problems whose strings are safe to display, and the exception carrying
them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from grader.problems.catalogue import CATALOGUE, Problem

LIMIT = 20  # findings of one code that are listed individually

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Refused(Exception):
    """Reading stopped; ``problems`` says why. Only :func:`rebuild` lets it leave the package."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(f"{p.code} {p.where} {p.detail}".strip() for p in problems))
        self.problems = problems


def display(text: object, limit: int = 160) -> str:
    """Make uploaded text safe for a page or a terminal: no control or bidi characters, limited length."""
    raw = str(text)
    if len(raw) <= limit and raw.isprintable():
        return raw
    clean = "".join("\ufffd" if unicodedata.category(c) in _HIDDEN else c for c in raw[: limit + 1])
    return clean if len(raw) <= limit else clean[: limit - 1] + "…"


def problem(code: str, where: object = "", detail: object = "") -> Problem:
    """Build a :class:`Problem` with a known code and cleaned strings."""
    if code not in CATALOGUE:
        raise KeyError(f"{code} is not in the catalogue")
    return Problem(code, display(where), display(detail, 400))


def refuse(code: str, where: object = "", detail: object = "") -> Refused:
    """Build a refusal with one problem: ``raise refuse(...)``."""
    return Refused(problem(code, where, detail))


def several(code: str, names: Iterable[str], detail: str = "") -> list[Problem]:
    """Build one problem per name."""
    return [problem(code, name, detail) for name in names]


def fold(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Keep at most :data:`LIMIT` findings per code and count the rest: 20 lines rather than 20,000."""
    by_code: dict[str, list[Problem]] = {}
    for found in problems:
        by_code.setdefault(found.code, []).append(found)
    folded: list[Problem] = []
    for code, group in by_code.items():
        folded += group[:LIMIT]
        if len(group) > LIMIT:
            folded.append(problem(code, "", f"+{len(group) - LIMIT}"))
    return tuple(folded)
