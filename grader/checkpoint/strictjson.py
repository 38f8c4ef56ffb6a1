"""Parses JSON strictly: refuses anything that two parsers could read differently.

Python's ``json`` keeps the last of two duplicate keys, accepts ``NaN``, turns ``1e999`` into infinity and
recurses as deep as the text demands. None of this may decide which model is graded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from grader.checkpoint.finding import display, refuse

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_DIGITS = 20  # 2^63 has 19 digits

Json = dict[str, Any]


def read(path: Path, limit_bytes: int = MAX_BYTES) -> Json:
    """Parse the object in ``path``; see :func:`loads`."""
    with path.open("rb") as file:
        data = file.read(limit_bytes + 1)
    return loads(data, path.name, limit_bytes)


def loads(
    data: bytes,
    name: str,
    limit_bytes: int = MAX_BYTES,
    count_keys: Callable[[Json], int] | None = None,
) -> Json:
    """Parse one JSON object.

    Args:
        count_keys: a faster count of an object's keys at all depths, for callers that check its form
            themselves; it may undercount.

    Raises:
        Refused: JSON_TOO_LARGE, JSON_SYNTAX (also BOM, trailing text, bad UTF-8, lone surrogates, a top level
            that is no object), JSON_DUPLICATE_KEY, JSON_NUMBER (NaN, infinite, more than 20 digits, or -0,
            which is an integer to Python and not to Rust), JSON_TOO_DEEP.
    """
    if len(data) > limit_bytes:
        raise refuse("JSON_TOO_LARGE", name, f"> {limit_bytes} B")

    def unique(pairs: list[tuple[str, Any]]) -> Json:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise refuse("JSON_DUPLICATE_KEY", name, twice)
        return found

    def bad_number(text: str) -> Any:
        raise refuse("JSON_NUMBER", name, display(text, 40))

    def integer(text: str) -> int:
        return int(text) if text != "-0" and len(text) <= MAX_DIGITS else bad_number(text)

    def real(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else bad_number(text)

    def parse(**hooks: Any) -> Any:
        text = data.decode("utf-8")  # strict decoding; json.loads itself refuses a BOM in a str
        return json.loads(text, parse_float=real, parse_constant=bad_number, **hooks)

    # A header has thousands of integers and objects, and checking each one would dominate the run time.
    # They are checked only if the text has a long run of digits, or more colons than keys were parsed.
    hooks: dict[str, Any] = {}
    if b"-0" in data or _LONG in data.translate(_DIGITS):
        hooks["parse_int"] = integer
    try:
        value = parse(**hooks)
        if not isinstance(value, dict):
            raise refuse("JSON_SYNTAX", name, f"{type(value).__name__} ≠ object")
        keys = count_keys(value) if count_keys else _count_keys(value, name)
        if keys != data.count(b":"):
            value = parse(**hooks, object_pairs_hook=unique)
    except RecursionError:
        raise refuse("JSON_TOO_DEEP", name, f"> {MAX_DEPTH}") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise refuse("JSON_SYNTAX", name, _reason(error)) from None
    if b"\\" in data:  # a lone surrogate can only come from an escape
        _refuse_surrogates(value, name)
    found: Json = value
    return found


_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * MAX_DIGITS


def dump(value: Json) -> bytes:
    """Return the canonical bytes of an object: sorted keys, two-space indent, one final newline."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _levels(root: Json) -> Iterator[list[Json | list[Any]]]:
    """Return the containers at each depth, without recursion."""
    level: list[Json | list[Any]] = [root]
    while level:
        yield level
        children = list(chain.from_iterable(c.values() if type(c) is dict else c for c in level))
        kinds = set(map(type, children)) & _NESTED  # a cheap test; most levels have none
        level = [child for child in children if type(child) in kinds] if kinds else []


_NESTED = {dict, list}


def _count_keys(root: Json, name: str) -> int:
    count = 0
    for depth, level in enumerate(_levels(root)):
        if depth == MAX_DEPTH:
            raise refuse("JSON_TOO_DEEP", name, f"> {MAX_DEPTH}")
        count += sum(len(item) for item in level if type(item) is dict)
    return count


def _refuse_surrogates(root: Json, name: str) -> None:
    for level in _levels(root):
        for text in chain.from_iterable((*c, *c.values()) if type(c) is dict else c for c in level):
            if isinstance(text, str) and not text.isascii():
                try:
                    text.encode("utf-8")
                except UnicodeEncodeError:
                    raise refuse("JSON_SYNTAX", name, "lone surrogate") from None


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}: {error.lineno}:{error.colno}"
    return "UTF-8"
