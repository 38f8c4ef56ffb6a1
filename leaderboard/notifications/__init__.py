"""Notifying teams about their submissions by email and webhook.

    something ends ──▶ ``tell``: rows of the outbox, in the same transaction
                              │ on commit, and every 15 s by the sweeper
                              ▼
                       ``deliver``: one row, retried with growing pauses, then given up

A row is delivered at least once; receivers can drop repeats by ``uid``.
"""

from __future__ import annotations

from leaderboard.notifications.delivery import PAUSES_S, are_due, deliver, forget_old
from leaderboard.notifications.outbox import (
    News,
    evaluation_ended,
    review_wanted,
    tell,
    tell_captain,
    tell_everybody,
    tell_teams,
    test,
)

__all__ = [
    "PAUSES_S",
    "News",
    "are_due",
    "deliver",
    "evaluation_ended",
    "forget_old",
    "review_wanted",
    "tell",
    "tell_captain",
    "tell_everybody",
    "tell_teams",
    "test",
]
