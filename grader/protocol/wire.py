"""Parses untrusted JSON within limits: every text can be stored, and every number is finite."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from grader.schema import SchemaError

MAX_DEPTH = 32
INTEGERS = range(-(2**63), 2**63)  # the limit of a database column
TEXT_CHARS = 1 << 16
KEY_CHARS = 200

# PostgreSQL cannot store NUL, and a lone surrogate has no UTF-8 encoding.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def parse(body: bytes, limit_bytes: int) -> Any:
    """Parse the document in ``body``.

    Raises:
        SchemaError: too long, not JSON, or refused by :func:`require_storable`.
    """
    if len(body) > limit_bytes:
        raise SchemaError("", f"more than {limit_bytes:,} bytes")
    try:
        document = json.loads(body.decode("utf-8"))
    except RecursionError:
        raise SchemaError("", "nested too deeply") from None
    except ValueError as error:  # invalid JSON, invalid UTF-8, or an integer with too many digits
        raise SchemaError("", f"not JSON: {error}"[:200]) from None
    require_storable(document)
    return document


def require_storable(value: Any, where: str = "", depth: int = 0) -> None:
    """Check that every value can be stored.

    Raises:
        SchemaError: a text with NUL or a lone surrogate, a text that is too long, a number that no column can
            store, or nesting deeper than ``MAX_DEPTH``; with the location.
    """
    if depth > MAX_DEPTH:
        raise SchemaError(where, "nested too deeply")
    match value:
        case str():
            _require_text(value, where, TEXT_CHARS)
        case float():
            if not math.isfinite(value):
                raise SchemaError(where, "must be a finite number")
        case int():
            if value not in INTEGERS:
                raise SchemaError(where, "an integer of more than 64 bits")
        case list():
            for i, item in enumerate(value):
                require_storable(item, f"{where}[{i}]", depth + 1)
        case dict():
            for key, item in value.items():
                _require_text(key, where, KEY_CHARS)  # before it becomes part of a location
                require_storable(item, f"{where}.{key}" if where else key, depth + 1)


def storable(text: str) -> str:
    """Replace the characters of ``text`` that cannot be sent or stored."""
    return _UNSTORABLE.sub("\ufffd", text)


def _require_text(text: str, where: str, limit: int) -> None:
    if len(text) > limit:
        raise SchemaError(where, f"a text of more than {limit:,} characters")
    if _UNSTORABLE.search(text):
        raise SchemaError(where, "a text holds NUL or half a surrogate pair")
