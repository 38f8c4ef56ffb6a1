"""Layer patterns in quantization configs: exact names, class names, and regular expressions after ``re:``.

The patterns are untrusted, and both we and the engine match them against every layer, so only cheap ones are
allowed: no repeated groups, few unbounded repetitions of characters, and few ambiguous choices (optional
characters, or alternatives that begin alike).
"""

from __future__ import annotations

import re
from functools import cache

MAX_LENGTH = 200
MAX_PATTERNS = 4000  # an ignore list may name every layer
MAX_EXPRESSIONS = 100
MAX_UNBOUNDED = 3
# Each optional character doubles the number of ways to match; alternatives that begin alike multiply it.
MAX_WAYS = 64
MAX_WAYS_AT_MOST_UNBOUNDED = 8  # 256 of them took one minute over 30 layers

_ATOM = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?::|=|!|<=|<!))?|\)|[*+?]|\{[0-9,]*\}|.", re.DOTALL
)
_PLAIN = re.compile(r"\w|-|\\\W")
_ALLOWED = re.compile(r"[A-Za-z0-9_.\-\\^$*+?|()\[\]{},:=!<>]*")


def find_fault(pattern: str) -> str:
    """Return why a pattern is refused, or empty if it is allowed."""
    if not pattern or len(pattern) > MAX_LENGTH:
        return f"length {len(pattern)}"
    expression = pattern.removeprefix("re:")
    if not _ALLOWED.fullmatch(expression):
        return "characters"
    if expression == pattern:
        return ""
    previous, unbounded, ways = "", 0, 1
    # The alternatives of every open group; anything but a plain character is shown as a star.
    groups = [[""]]
    for atom in _ATOM.findall(expression):
        is_optional = atom in ("?", "{0,1}")
        is_repeat = atom in ("*", "+") or (atom.startswith("{") and not is_optional)
        if (is_repeat or atom == "{0,1}") and previous == ")":
            return "repeated group"
        if atom[0] == "\\" and atom[1].isdigit():
            return "back reference"
        unbounded += is_repeat
        ways *= 2 if is_optional else 1
        if atom == "|":
            groups[-1].append("")
        elif atom == ")" and len(groups) > 1:
            ways *= _ways(groups.pop())
        else:
            groups[-1][-1] += atom if _PLAIN.fullmatch(atom) else "*"
        if atom[0] == "(":
            groups.append([""])
        if atom != "?":
            previous = atom
    ways *= _ways(groups[0])
    most = MAX_WAYS if unbounded < MAX_UNBOUNDED else MAX_WAYS_AT_MOST_UNBOUNDED
    if unbounded > MAX_UNBOUNDED or ways > most:
        return f"{unbounded} repetitions, {ways} ways to match"
    try:
        _compile(expression)
    except (re.error, OverflowError, RecursionError):
        return "syntax"
    return ""


def _ways(alternatives: list[str]) -> int:
    """Count the alternatives of a group that one text can begin with: plain ones that are prefixes of each
    other.
    """
    if any("*" in text for text in alternatives):
        return len(alternatives)
    texts = [text.casefold() for text in alternatives]
    return max(sum(text.startswith(other) for other in texts) for text in texts)


@cache
def _compile(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def matches(pattern: str, name: str) -> bool:
    """Return whether a checked pattern selects the layer ``name``, as compressed-tensors and vLLM decide it."""
    if pattern.startswith("re:"):
        return _compile(pattern[3:]).match(name) is not None
    return pattern == name


def matches_class(pattern: str, class_name: str) -> bool:
    """Return whether a checked target selects a layer by class (``Linear``). As in vLLM, substrings match."""
    if pattern.startswith("re:"):
        return _compile(pattern[3:]).match(class_name) is not None
    return pattern.lower() in class_name.lower()
