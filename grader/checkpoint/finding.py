"""How the checker speaks: problems whose strings are safe to show, and the exception that carries them."""

from __future__ import annotations

import unicodedata

from grader.problems import CATALOGUE, Problem

LIMIT = 20  # findings of one code that are listed one by one

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Refused(Exception):
    """Reading stopped; ``problems`` says why. Never leaves the package except from :func:`rebuild`."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(f"{p.code} {p.where} {p.detail}".strip() for p in problems))
        self.problems = problems


def display(text: object, limit: int = 160) -> str:
    """Uploaded text made fit for a page or a terminal: no control or bidi characters, bounded length."""
    raw = str(text)
    clean = "".join("\ufffd" if unicodedata.category(c) in _HIDDEN else c for c in raw[: limit + 1])
    return clean if len(raw) <= limit else clean[: limit - 1] + "…"


def problem(code: str, where: object = "", detail: object = "") -> Problem:
    """A :class:`Problem` with a known code and cleaned strings."""
    if code not in CATALOGUE:
        raise KeyError(f"{code} is not in the catalogue")
    return Problem(code, display(where), display(detail, 400))


def refuse(code: str, where: object = "", detail: object = "") -> Refused:
    """``raise refuse(...)``: a refusal with one problem."""
    return Refused(problem(code, where, detail))


def several(code: str, names: list[str], detail: str = "") -> list[Problem]:
    """One problem per name, the tail folded into a count: a missing layer is 11 lines, not 11,000."""
    shown = [problem(code, name, detail) for name in names[:LIMIT]]
    if len(names) > LIMIT:
        shown.append(problem(code, "", f"+{len(names) - LIMIT}"))
    return shown
