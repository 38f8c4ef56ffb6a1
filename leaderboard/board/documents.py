"""A board's JSON documents: head, entries, history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from ninja import Schema

from leaderboard.board import columns, history, ranking


class StepOut(Schema):
    """An entry that raised its team's best score."""

    submission: int
    at: datetime
    score: float
    half_width: float


class LineOut(Schema):
    team: str
    rank: int
    steps: list[StepOut]


class HistoryOut(Schema):
    contest: str
    part: Literal["public", "private"]
    lines: list[LineOut]


def board_json(
    found: ranking.Board, public_ranks: Mapping[int | None, int] = MappingProxyType({})
) -> dict[str, Any]:
    """The board's JSON in the API, the export and ``make demo ONCE=1``.

    Args:
        public_ranks: of the teams, for the private board.
    """
    entries = [entry_json(entry, public_ranks.get(entry.team_id)) for entry in found.entries]
    return {**board_head(found), "entries": entries}


def board_head(found: ranking.Board) -> dict[str, Any]:
    return {
        "contest": found.contest.slug,
        "formula": found.formula,
        "part": found.part,
        "columns": columns.for_terminals(),
    }


def history_json(found: ranking.Board, lines: Iterable[history.Line]) -> dict[str, Any]:
    """Best scores over time, one line per team."""
    assert found.part != "all", "of a board"
    return HistoryOut(
        contest=found.contest.slug,
        part=found.part,
        lines=[
            LineOut(
                team=line.entrant,
                rank=line.rank,
                steps=[
                    StepOut(
                        submission=step.submission_id,
                        at=step.at,
                        score=step.value,
                        half_width=step.half_width,
                    )
                    for step in line.steps
                ],
            )
            for line in lines
        ],
    ).dict()


def entry_json(entry: ranking.Entry, public_rank: int | None = None) -> dict[str, Any]:
    return {
        "rank": entry.rank,
        "rank_interval": [entry.standing.best, entry.standing.worst],
        "tied": entry.tied,
        "team": entry.entrant,
        "kind": entry.kind,
        "submission": entry.submission_id,
        "score": entry.score.value,
        "half_width": entry.score.half_width,
        "terms": entry.score.terms,
        **columns.fields(entry),
        "public_rank": public_rank,
        "held": bool(entry.held),
        "held_because": entry.held or None,
    }
