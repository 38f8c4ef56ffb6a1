"""What a broken attempt points at: the entry, or something of ours that every entry would meet.

Faults are counted per cause. An entry fails after ``MAX_ATTEMPTS`` attempts that point at *it*; a fault of ours
only makes it wait, up to ``MAX_OUTAGES`` times, after which it is put back once the cause is gone.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

from grader.problems.catalogue import Problem
from leaderboard.models import Attempt, Transition


class Cause(enum.StrEnum):
    ENTRY = "entry"
    WORKER = "worker"
    STORAGE = "storage"
    HUB = "hub"


MAX_OUTAGES = 10
LONGEST_PAUSE_S = 600.0
OURS = {
    "SYS_STORAGE": Cause.STORAGE,
    "SYS_DOWNLOAD": Cause.STORAGE,
    "SYS_HUB": Cause.HUB,
    # A lost lease is a killed worker, or a site or database that was away for as long.
    "SYS_WORKER_LOST": Cause.WORKER,
    "SYS_DISK_FULL": Cause.WORKER,
    "SYS_CONTEST_MISMATCH": Cause.WORKER,
    "SYS_GPU_DIRTY": Cause.WORKER,
    "SYS_GPU_COUNT": Cause.WORKER,
    "SYS_BASE_MODEL": Cause.WORKER,
    "SYS_SANDBOX": Cause.WORKER,
    "SYS_DATASET": Cause.WORKER,
}


def cause_of(problems: Iterable[Problem]) -> Cause:
    """Ours if any problem is known to be; otherwise it happened with this entry, so it points there."""
    for problem in problems:
        if problem.code in OURS:
            return OURS[problem.code]
        if problem.where == "base":
            return Cause.WORKER
    return Cause.ENTRY


def count(evaluation_id: int, cause: Cause) -> int:
    """Broken attempts with this cause since the evaluation was last put back."""
    put_back = Transition.objects.filter(
        evaluation=evaluation_id, code=Transition.Code.PUT_BACK
    ).order_by("-pk")
    since = put_back.values_list("parameters__n", flat=True).first() or 0
    broken = Attempt.objects.filter(
        evaluation=evaluation_id, number__gt=since, outcome__in=("failed", "lost")
    )
    return sum(
        cause_of(map(_problem, found)) == cause for (found,) in broken.values_list("problems")
    )


def _problem(row: Mapping[str, str]) -> Problem:
    return Problem(row["code"], row.get("where", ""), row.get("detail", ""))
