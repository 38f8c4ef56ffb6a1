"""Reads a contest file, and finds it by name."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import replace
from pathlib import Path

from grader.contest.lines import line_of
from grader.contest.rules import Contest
from grader.schema import SchemaError, decode

CONTESTS = Path(__file__).resolve().parent.parent / "contests"


class ContestError(ValueError):
    """The contest file is unusable; the message says where and why.

    ``line`` counts from 1; 0 refers to the whole file.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def load(path: Path | str) -> Contest:
    """Read a contest file.

    Raises:
        ContestError: not readable, not TOML, unknown keys, wrong types, weights that do not sum to 1,
            dates in the wrong order. The message names the location.
    """
    path = Path(path)
    try:
        return parse(path.read_text("utf-8"), path.resolve().parent)
    except (OSError, UnicodeDecodeError) as error:
        raise ContestError(f"{path}: {error}") from error
    except ContestError as error:
        raise ContestError(f"{path}:{error.line}: {error}", error.line) from error.__cause__


def parse(source: str, folder: Path, split_salt: str = "") -> Contest:
    """Load a contest from the text of its file.

    Args:
        folder: base of its relative paths.
        split_salt: of the public and private questions, if the file has none.
    """
    try:
        contest = decode(Contest, tomllib.loads(source))
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        line = int(at[1]) if at else len(source.splitlines())  # "at end of document"
        raise ContestError(str(error), line) from error
    except SchemaError as error:
        raise ContestError(str(error), line_of(source, error.where)) from error
    # frozen: these are facts about the file, not keys in it
    object.__setattr__(contest, "folder", folder)
    if not contest.split_salt:
        object.__setattr__(contest, "split_salt", split_salt)
    object.__setattr__(contest, "source", source)
    object.__setattr__(contest, "sha256", hashlib.sha256(source.encode()).hexdigest())
    return contest


def uncapped(contest: Contest) -> Contest:
    """Return the contest as it was understood before ``accuracy_cap`` existed: without a cap."""
    found = replace(contest, scoring=replace(contest.scoring, accuracy_cap="none"))
    for name in ("folder", "source", "sha256"):
        object.__setattr__(found, name, getattr(contest, name))
    return found


def find(name: str, *roots: Path) -> Path:
    """Find the file of a contest by id, in ``roots`` and then among the contests that ship with the project.

    Raises:
        ContestError: there is none with that name; the message lists the existing ones.
    """
    for root in (*roots, CONTESTS):
        for candidate in (root / f"{name}.toml", root / name / "contest.toml"):
            if candidate.is_file():
                return candidate
    known = sorted({p.stem for p in CONTESTS.glob("*.toml")}
                   | {p.parent.name for p in CONTESTS.glob("*/contest.toml")})  # fmt: skip
    raise ContestError(f"no contest named {name!r}; known: {', '.join(known)}")
