"""The number that moves with the board, so that no page can be older than a result."""

from __future__ import annotations

from django.db.models import F

from leaderboard.models import Contest


def board_moves(contest_id: str) -> None:
    """Say that the transaction changes what the board shows; call it first in that transaction.

    Boards are cached under ``Contest.board_version``: with the commit the old ones are out of sight. The row
    stays locked until then, and all who change a board take it first, so they follow one another.
    """
    Contest.objects.filter(pk=contest_id).update(board_version=F("board_version") + 1)
