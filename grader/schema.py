"""Strict conversion between JSON-like data and frozen dataclasses.

Jobs, reports and ``Contest`` cross trust boundaries (HTTP, handwritten files), so decoding checks every
type, refuses unknown keys by name and never coerces. It uses only the standard library because the GPU worker,
the site and the CLI share it.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, Union

T = TypeVar("T")
# Metadata of a field that came after others had read and digested its table. It is left out while it has its
# default, so an older release reads what does not use it, and contests that do not use it keep their digests.
LATER: Mapping[str, Any] = {"later": True}


class SchemaError(ValueError):
    """Data does not fit its dataclass. ``where`` is the dotted path of the offending value."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where or 'document'}: {message}")
        self.where = where
        self.message = message


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def decode(cls: type[T], data: object, where: str = "") -> T:
    """Build a ``cls`` (a dataclass) from plain JSON or TOML data.

    Raises:
        SchemaError: unknown or missing key, wrong type, non-finite number. The message names the path.
    """
    if not isinstance(data, dict):
        raise SchemaError(where, f"expected a table, found {_name(data)}")
    hints = _hints(typing.cast(Any, cls))
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, cls)) if f.init}
    for key in data:
        if key not in fields:
            known = ", ".join(sorted(fields))
            raise SchemaError(_join(where, str(key)), f"unknown key; expected one of: {known}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _value(hints[name], data[name], _join(where, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise SchemaError(_join(where, name), "missing")
    try:
        return cls(**values)
    except SchemaError as error:  # a __post_init__ rule failed: add the location of the table
        raise SchemaError(_join(where, error.where), error.message) from None


def encode(value: Any) -> Any:
    """The inverse of :func:`decode`: turn nested dataclasses into plain dicts, lists, strings and numbers."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: encode(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if f.init and not (f.metadata.get("later") and getattr(value, f.name) == f.default)
        }
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return value


def _value(hint: Any, data: object, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return data
    if origin in (Union, types.UnionType):
        if data is None and type(None) in arguments:
            return None
        *words, inner = [a for a in arguments if a is not type(None)]
        if words and isinstance(data, str):  # Literal["base", "none"] | float
            return _value(words[0], data, where)
        return _value(inner, data, where)
    if origin is typing.Literal:
        if data not in arguments:
            raise SchemaError(where, f"expected one of {', '.join(map(repr, arguments))}")
        return data
    if origin in (tuple, list):
        if not isinstance(data, list | tuple):
            raise SchemaError(where, f"expected a list, found {_name(data)}")
        items = [_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(data)]
        return tuple(items) if origin is tuple else items
    if origin is dict:
        if not isinstance(data, dict):
            raise SchemaError(where, f"expected a table, found {_name(data)}")
        return {str(k): _value(arguments[1], v, _join(where, str(k))) for k, v in data.items()}
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast(type[Any], hint), data, where)
    return _scalar(hint, data, where)


def _scalar(hint: Any, data: object, where: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(data)
        except ValueError:
            raise SchemaError(where, f"expected one of {', '.join(hint)}") from None
    if hint is datetime:
        return _moment(data, where)
    if hint is float and isinstance(data, int | float) and not isinstance(data, bool):
        try:
            number = float(data)
        except OverflowError:  # an integer of more than 308 digits
            number = math.inf
        if not math.isfinite(number):
            raise SchemaError(where, "must be a finite number")
        return number
    if (isinstance(data, bool) and hint is not bool) or not isinstance(data, hint):
        raise SchemaError(where, f"expected {hint.__name__}, found {_name(data)}")
    return data


def _moment(data: object, where: str) -> datetime:
    """Parse a date, which needs a UTC offset: without one, a deadline is ambiguous."""
    if isinstance(data, str):
        try:
            data = datetime.fromisoformat(data)
        except ValueError:
            raise SchemaError(where, "expected a date and time") from None
    if not isinstance(data, datetime):
        raise SchemaError(where, f"expected a date and time, found {_name(data)}")
    if data.tzinfo is None:
        raise SchemaError(where, "needs a time zone offset such as +09:00")
    return data


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where and name else where or name


def _name(data: object) -> str:
    return "null" if data is None else type(data).__name__
