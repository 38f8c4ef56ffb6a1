"""What both ways of pairing share: who goes first, when an engine is warm, how much may be spoiled."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

MAX_VOID_ROUNDS = 3


def balanced(generator: random.Random, first: bool | None = None) -> Iterator[bool]:
    """Whether the base model goes first: drawn at random for every other pair, and swapped in the next.

    ``first`` is the first draw, if it is not to be a draw.
    """
    while True:
        base_first = generator.random() < 0.5 if first is None else first
        first = None
        yield base_first
        yield not base_first


def are_alike(now_s: float, before_s: float, tolerance: float) -> bool:
    """Whether two rounds in a row took equally long."""
    return math.isfinite(before_s) and abs(now_s - before_s) <= tolerance * before_s
