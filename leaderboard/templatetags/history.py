"""Scores over time and ranks across boards: the geometry of their charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template

from leaderboard.board import cached
from leaderboard.board.history import Line
from leaderboard.board.ranking import Entry
from leaderboard.core.svg import WIDTH, Scale

register = template.Library()

HEIGHT = 100.0
MOVES_SHOWN = 10  # of the top teams on either board


@register.filter
def sparks(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Each line with its steps as a polyline; all on one scale of time and score."""
    steps = [step for line in lines for step in line.steps]
    if not steps:
        return []
    times, values = [s.at.timestamp() for s in steps], [s.value for s in steps]
    across, up = Scale(min(times), max(times)), Scale(min(values), max(values))

    def y(value: float) -> float:
        return round(HEIGHT * (1 - up.at(value) / WIDTH), 1)

    found = []
    for line in lines:
        path: list[str] = []
        last: float | None = None
        for step in line.steps:
            x = across.at(step.at.timestamp())
            path += [] if last is None else [f"{x},{last}"]
            last = y(step.value)
            path.append(f"{x},{last}")
        found.append({"line": line, "path": " ".join([*path, f"{WIDTH},{last}"])})
    return found


@register.inclusion_tag("leaderboard/_rank_moves.html")
def moves(board: cached.Shown) -> dict[str, Any]:
    """Where the top teams of each board rank on the other; ``board`` is the private one."""
    public = cached.public_ranks(board)
    ranked = [entry for entry in board.ranked if entry.team_id in public]
    shown = [e for e in ranked if min(e.rank, public[e.team_id]) <= MOVES_SHOWN]
    before = sorted(shown, key=lambda entry: public[entry.team_id])
    moved = [(public[e.team_id] - e.rank, e) for e in ranked if public[e.team_id] != e.rank]
    rows = [
        {"entry": entry, "rank": public[entry.team_id], "y1": at + 0.5, "y2": shown.index(entry) + 0.5,
         "change": _change(public[entry.team_id], entry)}
        for at, entry in enumerate(before)
    ]  # fmt: skip
    return {
        "rows": rows,
        "after": shown,
        "height": len(shown),
        "moved": len(moved),
        "teams": len(ranked),
        "rise": max((m for m in moved if m[0] > 0), key=lambda m: m[0], default=None),
        "fall": min((m for m in moved if m[0] < 0), key=lambda m: m[0], default=None),
    }


def _change(public_rank: int, entry: Entry) -> str:
    return "up" if entry.rank < public_rank else "down" if entry.rank > public_rank else "same"
