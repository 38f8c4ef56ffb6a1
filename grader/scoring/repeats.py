"""Which measurements of one checkpoint count, where a checkpoint that is entered again is pooled.

Whoever enters one checkpoint many times and keeps the best result gains by luck alone. Pooling takes that
away, except for stopping while ahead: whoever was lucky does not enter again. What is left of it is small where
few of the team's own measurements count, and nothing where a place is confirmed: the measurement that won it,
which was selected for being lucky, does not count there, and the team does not choose those that replace it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

M = TypeVar("M")
# Stopping while ahead gains 0.20 standard deviations with two measurements that count, 0.3 with three.
MOST_OWN = 2


def counted(own: Sequence[M], confirming: Sequence[M], won: M | None, measurements: int) -> list[M]:
    """Return the measurements whose pool is the checkpoint's score; none if only ``won`` exists so far.

    What the team enters after it won the place does not count: the place is the grader's to confirm.

    Args:
        own: of the team's entries, in order.
        confirming: the ones that the grader made of itself, in order.
        won: the one that brought it to a place that is confirmed.
        measurements: how many count at most.
    """
    before = own[: own.index(won)] if won is not None and won in own else own
    return [*before[:MOST_OWN], *confirming][:measurements]


def missing(counted: int, under_way: int, given_up: int, measurements: int) -> int:
    """Return how many more measurements confirm a place. As many failures as that end the attempt."""
    if given_up >= measurements:
        return 0
    return max(0, measurements - counted - under_way)
