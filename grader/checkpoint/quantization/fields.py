"""Typed access to an untrusted JSON object. Unknown keys and wrong types are refused by name."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from grader.checkpoint.finding import display, refuse
from grader.checkpoint.quantization import patterns
from grader.checkpoint.strictjson import Json

_MAX_TEXT = 64
_DTYPES = frozenset({
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "short", "int", "long",
    "float16", "bfloat16", "float32", "float64", "half", "float", "double",
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2",
})  # fmt: skip
_BLOCK = re.compile(r"[0-9]{1,5}x[0-9]{1,5}")


class Fields:
    """The object at ``where``. All accessors treat ``null`` as absent.

    Args:
        unread: where the engine ignores keys outside ``known``: takes their names. Otherwise they are refused.

    Raises:
        Refused: QUANT_SYNTAX for keys outside ``known`` and wrong types, QUANT_RANGE for bad values.
    """

    def __init__(
        self, value: Any, where: str, known: Set[str], unread: list[str] | None = None
    ) -> None:
        if not isinstance(value, dict):
            raise refuse("QUANT_SYNTAX", where, type(value).__name__)
        unknown = sorted(value.keys() - known)
        if unread is not None:
            unread += unknown
        elif unknown:
            raise refuse("QUANT_SYNTAX", f"{where}.{unknown[0]}")
        self._value: Json = value
        self._where = where

    def at(self, key: str) -> str:
        """Where a key stands, for a message."""
        return f"{self._where}.{key}"

    def integer(self, key: str, least: int, most: int, default: int) -> int:
        value = self._get(key)
        if value is None:
            return default
        if type(value) is not int:
            raise self._wrong(key, value)
        if not least <= value <= most:
            raise refuse(
                "QUANT_RANGE", f"{self._where}.{key}", f"{display(value, 30)} ∉ [{least}, {most}]"
            )
        return value

    def boolean(self, key: str, default: bool) -> bool:
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(key, value)
        return value

    def text(self, key: str) -> str:
        value = self._get(key)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            raise self._wrong(key, value)
        return value

    def dtype(self, key: str) -> str:
        """Return the name of a torch type without ``torch.``; empty if absent."""
        value = self._get(key)
        name = self.text(key).removeprefix("torch.")
        if value is not None and name not in _DTYPES:
            raise self._wrong(key, value)
        return name

    def choice(self, key: str, choices: Set[str], default: str, *, any_case: bool = False) -> str:
        given = self.text(key) or default
        value = given.lower() if any_case else given
        if value not in choices:
            raise refuse("QUANT_UNSUPPORTED", f"{self._where}.{key}", given)
        return value

    def table(self, key: str) -> Json:
        value = self._get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._wrong(key, value)
        return value

    def patterns(self, key: str) -> tuple[str, ...]:
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, value)
        if len(value) > patterns.MAX_PATTERNS:
            raise refuse(
                "QUANT_PATTERN", f"{self._where}.{key}", f"{len(value)} > {patterns.MAX_PATTERNS}"
            )
        for item in value:
            if fault := patterns.find_fault(item):
                raise refuse(
                    "QUANT_PATTERN", f"{self._where}.{key}", f"{display(item, 60)}: {fault}"
                )
        return tuple(value)

    def block(self, key: str) -> tuple[int, int]:
        """Return rows and columns, each a power of two between 16 and 1024; (0, 0) if absent."""
        value = self._get(key)
        if value is None:
            return 0, 0
        if isinstance(value, str) and _BLOCK.fullmatch(value):  # as older tools write it
            value = [int(number) for number in value.split("x")]
        if not isinstance(value, list) or len(value) != 2 or any(type(v) is not int for v in value):
            raise self._wrong(key, value)
        if any(v < 16 or v > 1024 or v & (v - 1) for v in value):
            raise refuse("QUANT_RANGE", f"{self._where}.{key}", value)
        return value[0], value[1]

    def _get(self, key: str) -> Any:
        return self._value.get(key)

    def _wrong(self, key: str, value: Any) -> Exception:
        return refuse(
            "QUANT_SYNTAX", f"{self._where}.{key}", f"{type(value).__name__} {display(value, 40)}"
        )
