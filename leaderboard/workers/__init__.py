"""The workers as a fleet: who they are, what each may grade, and whether each can be trusted.

``workers`` is the only writer of a worker's row, ``aa`` of an A/A test's; ``eligibility`` says why a
worker gets no work; ``work`` hands it out; ``state`` reads how all of them are.
"""

from __future__ import annotations

from leaderboard.workers import aa
from leaderboard.workers.aa import AlreadyAsked, NotPossible, return_lost_tests
from leaderboard.workers.dispatch import Offer, claim
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
]
