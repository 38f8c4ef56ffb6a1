"""Best scores over time: for some teams, every entry that beat all of the team's earlier ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from leaderboard.board.ranking import Board, View, standing_evaluations
from leaderboard.models import PartScore, public_figures


@dataclass(frozen=True, slots=True)
class Step:
    """An entry that raised its team's best score."""

    submission_id: int
    at: datetime
    value: float
    half_width: float


@dataclass(frozen=True, slots=True)
class Line:
    """A ranked team's best score by time of entry; the last step is its row on the board."""

    team_id: int
    entrant: str
    rank: int
    steps: tuple[Step, ...]


def history(board: Board, view: View, teams: Iterable[int]) -> list[Line]:
    """One line for each of the teams that is ranked, best first, in one query.

    Args:
        view: the view that the board was made with.
    """
    wanted = set(teams)
    entries = [entry for entry in board.ranked if entry.team_id in wanted]
    standing = standing_evaluations(
        board.contest, as_of=view.as_of, with_hidden=view.with_hidden, only_final=view.only_final
    )
    rows = (
        standing.filter(score__team__in=[entry.team_id for entry in entries])
        .select_related("score", "submission")
        .only("status", "submission__created", "score__team", "score__private",
              *(f"score__{name}" for name in PartScore.__slots__))
        .order_by("submission__created", "submission")
    )  # fmt: skip
    best: dict[int | None, float] = {}
    steps: dict[int | None, list[Step]] = {entry.team_id: [] for entry in entries}
    for row in rows:
        assert row.score is not None, "what may stand is scored"
        exact, line = row.score.of(view.part), steps[row.score.team_id]
        if exact.value <= best.get(row.score.team_id, -1.0):
            continue
        best[row.score.team_id] = exact.value
        seen = exact
        if view.part == "public" and not view.exact:
            seen = public_figures(row.score, board.contest)
        line.append(Step(row.submission_id, row.submission.created, seen.value, seen.half_width))
    return [
        Line(entry.team_id or 0, entry.entrant, entry.rank, tuple(steps[entry.team_id]))
        for entry in entries
    ]
