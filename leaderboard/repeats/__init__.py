"""One checkpoint, one chance: a team's repeated checkpoints are pooled, and first places measured again.

    checkpoints     which entries of a team are the same checkpoint
    measurements    a checkpoint's measurements, and which of them count
    confirming      the first places: which are measured again, and how far that is
    settling        brings all of it up to date; the only writer

Only where the contest says so: ``[scoring] repeats = "pooled"`` and ``confirm``.
"""

from __future__ import annotations

from leaderboard.repeats.settling import ring_due, settle

__all__ = ["ring_due", "settle"]
