"""The fleet of workers: their records, what each may grade, and whether each can be trusted.

``registry`` is the only writer of a worker's row, ``aa`` of an A/A test's; ``eligibility`` says why a worker
gets no work; ``dispatch`` hands it out; ``status`` reads the state of all of them.
"""

from __future__ import annotations

from leaderboard.workers import aa
from leaderboard.workers.aa import AlreadyAsked, NotPossible, return_lost_tests
from leaderboard.workers.dispatch import Offer, claim, upcoming, upcoming_archive
from leaderboard.workers.registry import (
    NameTaken,
    drain,
    introduce,
    register,
    renew,
    resume,
    retire,
    saw,
)
from leaderboard.workers.status import State, View, overview

__all__ = [
    "AlreadyAsked",
    "NameTaken",
    "NotPossible",
    "Offer",
    "State",
    "View",
    "aa",
    "claim",
    "drain",
    "introduce",
    "overview",
    "register",
    "renew",
    "resume",
    "retire",
    "return_lost_tests",
    "saw",
    "upcoming",
    "upcoming_archive",
]
