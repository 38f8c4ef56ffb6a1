"""Reduces a contest to measure less, for local experiments only, never for a score that counts."""

from __future__ import annotations

import copy
import hashlib
import math
from dataclasses import replace
from typing import Any, Literal, get_args

from grader.contest import Benchmark, Contest
from grader.contest.tasks import names_in

Only = Literal["accuracy", "memory", "speed"]
TERMS: tuple[str, ...] = get_args(Only)

QUICK_QUESTIONS = 40
QUICK_ROUNDS = 4


def reduced(contest: Contest, quick: bool = False, only: str = "") -> Contest:
    """Return ``contest`` unchanged, or with fewer questions and rounds, or without the terms that are not
    wanted. Fresh twins whose questions only the organizers have are always left out.

    A reduced contest has its own digest, so the worker's stored results of the base model are never mixed up.
    """
    benchmarks, speed = _here(contest), contest.speed
    if not quick and not only and len(benchmarks) == len(contest.benchmarks):
        return contest
    if quick:
        benchmarks = tuple(
            replace(b, limit=min(b.limit or QUICK_QUESTIONS, QUICK_QUESTIONS)) for b in benchmarks
        )
        speed = replace(
            speed,
            min_rounds=min(speed.min_rounds, QUICK_ROUNDS),
            max_rounds=QUICK_ROUNDS,
            max_half_width=math.inf,  # any width is fine because the interval is printed
            warmup_rounds=min(speed.warmup_rounds, 2),
            max_warmup_rounds=min(speed.max_warmup_rounds, 2),
        )
    if only and only != "accuracy":
        benchmarks = ()
    if only and only != "speed":
        speed = replace(speed, shapes=())
    digest = hashlib.sha256(f"{contest.sha256} {benchmarks} {speed}".encode()).hexdigest()
    return _with(contest, benchmarks=benchmarks, speed=speed, sha256=digest)


def _here(contest: Contest) -> tuple[Benchmark, ...]:
    """Return the benchmarks without twins that the participants' copy of a contest does not have."""
    here = names_in(contest.folder / contest.tasks) if contest.tasks and contest.twins else ()
    return tuple(b for b in contest.benchmarks if not b.twin_of or b.task in here)


def _with(contest: Contest, **changes: Any) -> Contest:
    """Copy without ``dataclasses.replace``, whose validation rejects a contest without benchmarks."""
    made = copy.copy(contest)
    for name, value in changes.items():
        object.__setattr__(made, name, value)
    return made
