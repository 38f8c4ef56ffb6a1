"""JSON read strictly: what two parsers could read differently is refused.

Python's ``json`` keeps the last of two equal keys, accepts ``NaN``, turns ``1e999`` into infinity and recurses
as deep as the text asks. None of that may decide which model is graded.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from grader.checkpoint.finding import Refused, display, refuse

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_DIGITS = 20  # 2^63 has 19

Json = dict[str, Any]


def read(path: Path, limit_bytes: int = MAX_BYTES) -> Json:
    """The object in ``path``; see :func:`loads`."""
    with path.open("rb") as file:
        data = file.read(limit_bytes + 1)
    return loads(data, path.name, limit_bytes)


def loads(data: bytes, name: str, limit_bytes: int = MAX_BYTES) -> Json:
    """Parse one JSON object.

    Raises:
        Refused: JSON_TOO_LARGE, JSON_SYNTAX (also BOM, trailing text, bad UTF-8, lone surrogates, a top level
            that is no object), JSON_DUPLICATE_KEY, JSON_NUMBER (NaN, infinite, more than 20 digits),
            JSON_TOO_DEEP.
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
        return int(text) if len(text) <= MAX_DIGITS else bad_number(text)

    def real(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else bad_number(text)

    try:
        value = json.loads(
            data.decode("utf-8"),  # strict; json.loads itself refuses a BOM in a str
            object_pairs_hook=unique,
            parse_int=integer,
            parse_float=real,
            parse_constant=bad_number,
        )
    except Refused:
        raise
    except RecursionError:
        raise refuse("JSON_TOO_DEEP", name, f"> {MAX_DEPTH}") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise refuse("JSON_SYNTAX", name, _reason(error)) from None
    if not isinstance(value, dict):
        raise refuse("JSON_SYNTAX", name, f"{type(value).__name__} ≠ object")
    _inspect(value, name)
    return value


def dump(value: Json) -> bytes:
    """The canonical bytes of an object: sorted keys, two spaces, one final newline."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _inspect(root: Json, name: str) -> None:
    """Depth and surrogates, without recursion."""
    level: list[Any] = [root]
    for depth in range(MAX_DEPTH + 1):
        if not level:
            return
        if depth == MAX_DEPTH:
            raise refuse("JSON_TOO_DEEP", name, f"> {MAX_DEPTH}")
        below: list[Any] = []
        for item in level:
            children = (*item, *item.values()) if isinstance(item, dict) else item
            for child in children:
                if isinstance(child, dict | list):
                    below.append(child)
                elif isinstance(child, str) and not child.isascii():
                    _encodable(child, name)
        level = below


def _encodable(text: str, name: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise refuse("JSON_SYNTAX", name, "lone surrogate") from None


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}: {error.lineno}:{error.colno}"
    return "UTF-8"
