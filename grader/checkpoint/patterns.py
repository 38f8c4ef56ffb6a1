"""Layer patterns of quantisation configs: exact names, class names, and regular expressions behind ``re:``.

The patterns come from strangers and are matched against every layer by us and by the engine, so only those are
allowed whose cost is small: no group may be repeated, and few characters may be repeated without bound.
"""

from __future__ import annotations

import re
from functools import cache

MAX_LENGTH = 200
MAX_PATTERNS = 4000  # an ignore list may name every layer
MAX_EXPRESSIONS = 100
MAX_UNBOUNDED = 3
MAX_OPTIONAL = 3  # each doubles the ways to match: 8 of them took a minute over 30 layers

_ATOM = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?::|=|!|<=|<!))?|\)|[*+?]|\{[0-9,]*\}|.", re.DOTALL
)
_ALLOWED = re.compile(r"[A-Za-z0-9_.\-\\^$*+?|()\[\]{},:=!<>]*")


def find_fault(pattern: str) -> str:
    """Why a pattern is refused; empty when it is fine."""
    if not pattern or len(pattern) > MAX_LENGTH:
        return f"length {len(pattern)}"
    expression = pattern.removeprefix("re:")
    if not _ALLOWED.fullmatch(expression):
        return "characters"
    if expression == pattern:
        return ""
    previous, unbounded, optional = "", 0, 0
    for atom in _ATOM.findall(expression):
        repeat = atom in ("*", "+") or atom.startswith("{")
        if repeat and previous == ")":
            return "repeated group"
        unbounded += atom in ("*", "+") or (atom.startswith("{") and atom != "{0,1}")
        if atom[0] == "\\" and atom[1].isdigit():
            return "back reference"
        if atom == "?":
            optional += 1
        else:
            previous = atom
    if unbounded > MAX_UNBOUNDED or optional > MAX_OPTIONAL:
        return f"{unbounded + optional} repetitions"
    try:
        _compile(expression)
    except (re.error, OverflowError, RecursionError):
        return "syntax"
    return ""


@cache
def _compile(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def matches(pattern: str, name: str) -> bool:
    """Whether a checked pattern selects the layer ``name``, as compressed-tensors and vLLM decide it."""
    if pattern.startswith("re:"):
        return _compile(pattern[3:]).match(name) is not None
    return pattern == name


def matches_class(pattern: str, class_name: str) -> bool:
    """Whether a checked target selects a layer by its class (``Linear``); substrings count, as in vLLM."""
    if pattern.startswith("re:"):
        return _compile(pattern[3:]).match(class_name) is not None
    return pattern.lower() in class_name.lower()
