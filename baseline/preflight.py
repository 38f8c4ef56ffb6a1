"""The grader's own checks, run here, on a folder or on an archive as the site would unpack it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baseline.errors import usage
from baseline.folder import roomy_folder

if TYPE_CHECKING:
    from grader.contest import Contest
    from grader.problems import Problem


def find(path: Path, contest: Contest) -> dict[str, Any]:
    """``{"problems": [Problem], "notices": [Problem], "facts": CheckpointFacts | None}``."""
    from grader.checkpoint import find_problems

    with _as_folder(path, contest) as (folder, refused):
        if refused:
            return {"problems": refused, "notices": [], "facts": None}
        findings = find_problems(folder, contest, scan=True)
        return {
            "problems": list(findings.problems),
            "notices": list(findings.notices),
            "facts": findings.facts,
        }


@contextlib.contextmanager
def _as_folder(path: Path, contest: Contest) -> Iterator[tuple[Path, list[Problem]]]:
    """Archives are unpacked to a temporary folder and removed again."""
    from grader.checkpoint import unpack

    if path.is_dir():
        yield path, []
        return
    if not path.is_file():
        raise usage("CHECKPOINT_NOT_FOUND", f"There is no {path}.", "Give a folder or an archive.")
    with tempfile.TemporaryDirectory(
        prefix=".baseline-check-", dir=roomy_folder(path)
    ) as temporary:
        folder = Path(temporary) / "checkpoint"
        yield folder, list(unpack(path, folder, contest.limits))


def in_words(problem: Problem, language: str) -> dict[str, str]:
    """A problem as the site tells it: code, stage, sentence, hint, where, detail."""
    from grader.problems import CATALOGUE

    kind = CATALOGUE.get(problem.code)
    return {
        "code": problem.code,
        "stage": kind.stage.value if kind else "",
        "sentence": kind.sentence(language) if kind else problem.code,
        "hint": kind.hint(language) if kind else "",
        "where": problem.where,
        "detail": problem.detail,
    }
