"""A contest with less to measure: for experiments at home, never for a score that counts."""

from __future__ import annotations

import copy
import hashlib
import math
from dataclasses import replace
from typing import Any, Literal, get_args

from grader.contest import Contest

Only = Literal["accuracy", "memory", "speed"]
TERMS: tuple[str, ...] = get_args(Only)

QUICK_QUESTIONS = 40
QUICK_ROUNDS = 4


def reduced(contest: Contest, quick: bool = False, only: str = "") -> Contest:
    """``contest`` as it is, or with fewer questions and rounds, or without the terms that are not asked for.

    A reduced contest has a digest of its own, so that the worker's stored results of the base model never mix.
    """
    if not quick and not only:
        return contest
    benchmarks, speed = contest.benchmarks, contest.speed
    if quick:
        benchmarks = tuple(
            replace(b, limit=min(b.limit or QUICK_QUESTIONS, QUICK_QUESTIONS)) for b in benchmarks
        )
        speed = replace(
            speed,
            min_rounds=min(speed.min_rounds, QUICK_ROUNDS),
            max_rounds=QUICK_ROUNDS,
            max_half_width=math.inf,  # as wide as it comes out: the interval is printed
            warmup_rounds=min(speed.warmup_rounds, 2),
            max_warmup_rounds=min(speed.max_warmup_rounds, 2),
        )
    if only and only != "accuracy":
        benchmarks = ()
    if only and only != "speed":
        speed = replace(speed, shapes=())
    digest = hashlib.sha256(f"{contest.sha256} {benchmarks} {speed}".encode()).hexdigest()
    return _with(contest, benchmarks=benchmarks, speed=speed, sha256=digest)


def _with(contest: Contest, **changes: Any) -> Contest:
    """A copy. Not ``dataclasses.replace``: that would validate, and a contest without benchmarks is none."""
    made = copy.copy(contest)
    for name, value in changes.items():
        object.__setattr__(made, name, value)
    return made
