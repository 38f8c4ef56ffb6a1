"""The names of lm-eval's tasks, without lm-eval: the site does not need it installed.

The bundled list is for the pinned lm-eval; ``python -m leaderboard.contests.lm_eval_tasks`` regenerates it from
the installed one by reading its YAML files as text.
"""

from __future__ import annotations

import gzip
import importlib.util
from functools import cache
from pathlib import Path

from grader.contest import Contest
from grader.contest.tasks import names_in

LIST = Path(__file__).with_name("lm_eval_tasks.txt.gz")


def is_known(task: str, contest: Contest) -> bool:
    """Whether the contest's own tasks or lm-eval's include this name."""
    own = contest.folder / contest.tasks if contest.tasks else None
    return task in shipped() or (own is not None and task in names_in(own))


@cache
def shipped() -> frozenset[str]:
    """The names in the list."""
    return frozenset(gzip.decompress(LIST.read_bytes()).decode().split())


def installed() -> set[str] | None:
    """The names in the installed lm-eval, which is read but never imported; None if it is not installed."""
    found = importlib.util.find_spec("lm_eval")
    return names_in(Path(found.origin).parent / "tasks") if found and found.origin else None


if __name__ == "__main__":
    names = installed()
    assert names, "lm-eval is not installed here"
    LIST.write_bytes(gzip.compress("\n".join(sorted(names)).encode(), mtime=0))
