"""The version number that changes with the board, so that no cached page is older than a result."""

from __future__ import annotations

from django.db.models import F

from leaderboard.models import Contest


def board_moves(contest_id: str) -> None:
    """Mark the board as changed by this transaction; call it first in the transaction.

    Boards are cached under ``Contest.board_version``, so the commit invalidates them. The row stays locked
    until then, and everything that changes a board locks it first, so such transactions run one after another.
    """
    Contest.objects.filter(pk=contest_id).update(board_version=F("board_version") + 1)
