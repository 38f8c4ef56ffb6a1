"""Rescoring and regrading many entries at once: prepared beside the board, looked at, decided as one.

    choosing    which entries, and how long it would take
    running     draft → running → ready: new scores are rows that nothing points to yet
    rescoring   the formula over thousands of stored reports
    measuring   the evaluations of a regrade, until all of them are over
    reviewing   verdicts, score changes, rank moves: what applying would do
    headtohead  the same entries on several workers
    deciding    apply, cancel, undo: one transaction each

The board does not move before ``apply`` and is always of one contest version. Model: DOMjudge's rejudging.
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
