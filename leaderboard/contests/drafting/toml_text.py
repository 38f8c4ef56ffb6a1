"""A contest file as text: every key with its description, those at their default as comments."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from grader.contest.parts import Formula
from grader.schema import encode
from grader.text import Text
from leaderboard.contests.drafting.keys import TABLES, Table, meanings

WIDTH = 110
Values = dict[str, Any]


def render(values: Values, head: str) -> str:
    """The file for ``values``, nested as the file is; ``head`` is the text at its top."""
    lines = [f"# {line}" for line in head.splitlines()]
    for table in TABLES:
        found = _of(values, table.name)
        if table.kind is Formula:
            for number, (name, formula) in enumerate(found.items()):
                lines += ["", f"[{table.name}.{name}]", *_body(table, formula, explain=not number)]
        elif table.is_list:
            for number, entry in enumerate(found or ()):
                lines += ["", f"[[{table.name}]]", *_body(table, entry, explain=not number)]
            if not found:
                lines += ["", f"# [[{table.name}]]", *_absent(table)]
        else:
            header = [f"[{table.name}]"] if table.name else []
            lines += ["", *header, *_body(table, found or {}, explain=True)]
    return "\n".join(lines) + "\n"


def _of(values: Values, name: str) -> Any:
    found: Any = values
    for part in name.split(".") if name else ():
        found = found.get(part) if found else None
    return found


def _body(table: Table, values: Values, *, explain: bool) -> Iterator[str]:
    """The lines of one table. Later tables of a list show only the keys that are set."""
    words, said = meanings(table.heading), ""
    for field in dataclasses.fields(table.kind):
        if not field.init or _is_table(table, field.name):
            continue
        if explain and words[field.name] != said:
            said = words[field.name]
            yield from textwrap.wrap(said, WIDTH, initial_indent="# ", subsequent_indent="# ")
        if field.name in values:
            yield f"{field.name} = {literal(values[field.name])}"
        elif explain:
            yield _default(field)


def _absent(table: Table) -> Iterator[str]:
    for field in dataclasses.fields(table.kind):
        words = meanings(table.heading)[field.name]
        yield from textwrap.wrap(words, WIDTH, initial_indent="# ", subsequent_indent="# ")
        yield f"# {field.name} = …"


def _default(field: dataclasses.Field[Any]) -> str:
    """A key left at its default. A missing required key is a drafting bug, reported when the file is loaded."""
    if field.default_factory is not dataclasses.MISSING:
        return f"# {field.name} = {literal(encode(field.default_factory()))}"
    if field.default is None:
        return f"# {field.name} is not set"
    return f"# {field.name} = {literal(field.default)}"


def _is_table(table: Table, name: str) -> bool:
    """Whether the key is written as its own table."""
    path = f"{table.name}.{name}" if table.name else name
    return any(other.name == path for other in TABLES)


def literal(value: Any) -> str:
    """A value in TOML, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= 100_000 else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Text):
        return literal({"en": value.en, "ko": value.ko})
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        pairs = [f"{_key(str(key))} = {literal(item)}" for key, item in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "")
    return name if plain.isascii() and plain.isalnum() else json.dumps(name)
