"""Reads that span tables. The page, the API and the admin preview all rank through here."""

from __future__ import annotations

from leaderboard.queries.board import (
    Board,
    Entry,
    View,
    board,
    board_for,
    final_entries,
    private_view,
    standing_evaluations,
    view_of,
)
from leaderboard.queries.history import Line, Step, history
from leaderboard.queries.queue import Queue, queue
from leaderboard.queries.submissions import (
    compliance_of,
    latest_evaluation,
    queue_position,
    report_summary,
    speaking_evaluations,
    team_history,
    team_of,
    visible_submissions,
)

__all__ = [
    "Board",
    "Entry",
    "Line",
    "Queue",
    "Step",
    "View",
    "board",
    "board_for",
    "compliance_of",
    "final_entries",
    "history",
    "latest_evaluation",
    "private_view",
    "queue",
    "queue_position",
    "report_summary",
    "speaking_evaluations",
    "standing_evaluations",
    "team_history",
    "team_of",
    "view_of",
    "visible_submissions",
]
