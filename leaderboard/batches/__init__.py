"""Rescoring and regrading many entries at once: prepared off the board, reviewed, then applied as one.

    choosing    which entries, and how long it would take
    running     draft → running → ready: new scores are rows that nothing points to yet
    rescoring   apply the formula to thousands of stored reports
    measuring   the evaluations of a regrade, until all of them have ended
    reviewing   verdicts, score changes, rank moves: what applying would do
    headtohead  the same entries on several workers
    deciding    apply, cancel, undo: one transaction each

The board changes only with ``apply`` and always follows one contest version. Modeled on DOMjudge's rejudging.
"""

from __future__ import annotations

from leaderboard.batches.choosing import Estimate, Filter, batch_filter, chosen, estimate
from leaderboard.batches.deciding import apply, cancel, undo
from leaderboard.batches.reviewing import Review, review
from leaderboard.batches.running import advance, prepare, retry, start, update

__all__ = [
    "Estimate",
    "Filter",
    "Review",
    "advance",
    "apply",
    "batch_filter",
    "cancel",
    "chosen",
    "estimate",
    "prepare",
    "retry",
    "review",
    "start",
    "undo",
    "update",
]
