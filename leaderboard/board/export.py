"""The board as files, streamed line by line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from leaderboard.board.columns import COLUMNS
from leaderboard.board.documents import board_head, entry_json
from leaderboard.board.ranking import Board, Entry

TERMS = ("accuracy", "memory", "speed")
HEADER = (
    "rank", "rank_best", "rank_worst", "tied", "team", "kind", "submission", "score", "half_width",
    *(f"{term}_{part}" for term in TERMS for part in ("value", "half_width", "weight", "points")),
    *(column.field for column in COLUMNS), "public_rank", "held", "held_because",
)  # fmt: skip


def json_lines(board: Board, public_ranks: Mapping[int | None, int]) -> Iterator[str]:
    """One JSON document, an entry per line. ``public_ranks``: public ranks of teams, for the private board."""
    head = json.dumps(board_head(board), cls=DjangoJSONEncoder, ensure_ascii=False)
    yield head[:-1] + ', "entries": ['
    separator = "\n"
    for entry in board.entries:
        document = entry_json(entry, public_ranks.get(entry.team_id))
        body = json.dumps(document, cls=DjangoJSONEncoder, ensure_ascii=False)
        yield separator + body
        separator = ",\n"
    yield "\n]}\n"


def csv_lines(board: Board, public_ranks: Mapping[int | None, int]) -> Iterator[str]:
    """RFC 4180 in UTF-8, with a byte order mark so that spreadsheets read Hangul correctly."""
    writer = csv.DictWriter(_Echo(), HEADER)
    yield "\ufeff" + writer.writeheader()
    for entry in board.entries:
        yield writer.writerow(_flat(entry, public_ranks.get(entry.team_id)))


class _Echo:
    """A file that returns what is written to it, because ``csv`` can only write to files."""

    def write(self, line: str) -> str:
        return line


def _flat(entry: Entry, public_rank: int | None) -> dict[str, Any]:
    flat: dict[str, Any] = entry_json(entry, public_rank)
    terms = {term["name"]: term for term in flat.pop("terms")}
    flat["rank_best"], flat["rank_worst"] = flat.pop("rank_interval")
    for column in COLUMNS:
        if column.unit == "time":
            flat[column.field] = flat[column.field].isoformat()
    flat["team"] = _plain(flat["team"])
    for name in TERMS:
        for part in ("value", "half_width", "weight", "points"):
            flat[f"{name}_{part}"] = terms[name][part]
    return flat


def _plain(text: str) -> str:
    """Escape a name that a spreadsheet would run as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
