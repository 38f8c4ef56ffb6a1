"""Finds the line of a key in a TOML file, so that an error can name it."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-.\"']+)\s*=")
_QUOTES = ('"""', "'''")


def line_of(source: str, where: str) -> int:
    """Return the line of the key path ``where`` (``benchmarks[1].weight``), or of the nearest table around it.

    ``source`` is valid TOML. Lines count from 1, which is also the result if nothing of the path is found.
    """
    lines = _lines(source)
    path = where
    while path and path not in lines:
        if f"{path}[0]" in lines:  # a whole list of tables
            return lines[f"{path}[0]"]
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines.get(path, 1)


def _lines(source: str) -> dict[str, int]:
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table, depth, quote = "", 0, ""
    for number, line in enumerate(source.splitlines(), 1):
        if quote or depth:  # inside a value that began on an earlier line
            depth, quote = _after(line, depth, quote)
            continue
        if header := _HEADER.match(line):
            table = _indexed(_plain(header[2]), counts, is_list=header[1] == "[[")
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            name = _plain(key[1])
            found.setdefault(f"{table}.{name}" if table else name, number)
            depth, quote = _after(line[key.end() :], depth, quote)
    return found


def _indexed(name: str, counts: dict[str, int], *, is_list: bool) -> str:
    """Turn ``speed.shapes`` into ``speed.shapes[1]`` for its second table. Tables below belong to the last
    one."""
    path = ""
    parts = name.split(".")
    for i, part in enumerate(parts):
        path = f"{path}.{part}" if path else part
        if is_list and i == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = f"{path}[{counts[path]}]"
    return path


def _plain(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _after(text: str, depth: int, quote: str) -> tuple[int, str]:
    """Return the bracket depth and the open multi-line quote after a line of a value."""
    i = 0
    while i < len(text):
        if quote:
            end = text.find(quote, i)
            if end < 0:
                return depth, quote if quote in _QUOTES else ""
            if quote in ('"', '"""') and text[end - 1 : end] == "\\" and end > i:
                i = end + 1
                continue
            i, quote = end + len(quote), ""
        elif text.startswith(_QUOTES, i):
            quote, i = text[i : i + 3], i + 3
        elif text[i] in "\"'":
            quote, i = text[i], i + 1
        elif text[i] == "#":
            break
        else:
            depth += (text[i] in "[{") - (text[i] in "]}")
            i += 1
    return depth, quote if quote in _QUOTES else ""
