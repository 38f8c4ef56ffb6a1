"""Runs the grader's checks locally, on a folder as it would be packed or an archive as the site unpacks it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baseline.checkpoint.packaging import members
from baseline.checkpoint.safe_write import disk_full_told, roomy_folder
from baseline.terminal.errors import CliError, usage

if TYPE_CHECKING:
    from grader.contest import Contest
    from grader.problems.catalogue import Problem


def find(path: Path, contest: Contest) -> dict[str, Any]:
    """``{"problems": [Problem], "notices": [Problem], "facts": CheckpointFacts | None}``."""
    from grader.checkpoint import find_problems

    with _as_folder(path, contest) as (folder, refused, left_out):
        if refused:
            return {"problems": refused, "notices": [], "facts": None}
        findings = find_problems(folder, contest, scan=True)
        return {
            "problems": list(findings.problems),
            "notices": [*_ignored(left_out), *findings.notices],
            "facts": findings.facts,
        }


@contextlib.contextmanager
def as_packed(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder as ``package`` would pack it, following links, and what that leaves out (logs,
    scripts, subfolders).

    Yields the path itself if the checker would see the same content in it. Archives and folders that cannot be
    packed are also yielded unchanged, so that the checker can say why.
    """
    from grader.checkpoint.layout import ORGANISER_FILES

    try:
        names = members(path) if path.is_dir() else []
    except CliError:
        names = []
    if not names or _seen_the_same(path, names):
        yield path, []
        return
    kept = {*names, *(name for name in ORGANISER_FILES if (path / name).is_file())}
    left_out = sorted(
        f"{each.name}/" if each.is_dir() else each.name
        for each in path.iterdir()
        if each.name not in kept
    )
    beside = roomy_folder(path / names[-1])  # where the weights are, possibly through a link
    with tempfile.TemporaryDirectory(prefix=".baseline-check-", dir=beside) as temporary:
        with disk_full_told(Path(temporary)):
            for name in sorted(kept):
                _link((path / name).resolve(), Path(temporary, name))
        yield Path(temporary), left_out


def _seen_the_same(folder: Path, names: list[str]) -> bool:
    from grader.checkpoint import Refused
    from grader.checkpoint.layout import read_layout

    try:
        weights = read_layout(folder).weights
    except Refused:
        return False
    return {file.name for file in weights} <= set(names)


def _link(source: Path, target: Path) -> None:
    """Hard-link if possible. A file of another user or on another disk has to be copied."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _ignored(left_out: list[str]) -> list[Problem]:
    from grader.checkpoint.finding import problem

    detail = ", ".join(left_out[:20])
    return [problem("LAYOUT_IGNORED_FILE", "", detail)] if left_out else []


@contextlib.contextmanager
def _as_folder(path: Path, contest: Contest) -> Iterator[tuple[Path, list[Problem], list[str]]]:
    """Unpack an archive to a temporary folder that is removed afterwards."""
    from grader.checkpoint import unpack

    if path.is_dir():
        with as_packed(path) as (folder, left_out):
            yield folder, [], left_out
        return
    if not path.is_file():
        raise usage("CHECKPOINT_NOT_FOUND", f"There is no {path}.", "Give a folder or an archive.")
    with tempfile.TemporaryDirectory(
        prefix=".baseline-check-", dir=roomy_folder(path)
    ) as temporary:
        folder = Path(temporary) / "checkpoint"
        yield folder, list(unpack(path, folder, contest.limits)), []


def in_words(problem: Problem, language: str) -> dict[str, str]:
    """Build a problem in the site's format: code, stage, message, hint, location, detail."""
    from grader.problems.catalogue import CATALOGUE

    kind = CATALOGUE.get(problem.code)
    return {
        "code": problem.code,
        "stage": kind.stage.value if kind else "",
        "sentence": kind.sentence(language) if kind else problem.code,
        "hint": kind.hint(language) if kind else "",
        "where": problem.where,
        "detail": problem.detail,
    }
