"""Every way a submission can fail, each with a stable code, a stage, a message and a next step.

The list is the contract between the checker, the worker, the site, the CLI and the documentation; and tests
enforce it. It is data: one file per stage in ``texts/``, with both languages side by side. Codes never change;
messages may be improved.
"""

from __future__ import annotations

import enum
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from grader.schema import SchemaError, decode
from grader.text import Text

T = TypeVar("T")
TEXTS = Path(__file__).resolve().parent / "texts"


class Stage(enum.StrEnum):
    """The stage a submission has reached. Information for people, not a state."""

    UPLOAD = "upload"  # bytes arriving at the site
    CHECK = "check"  # unpacked and read strictly, headers only, on the site's own queue
    WAIT = "wait"  # checked, waiting for a worker
    FETCH = "fetch"  # the worker downloads and rebuilds the canonical folder
    LOAD = "load"  # engines start
    QUALITY = "quality"  # benchmarks run
    SPEED = "speed"  # paired rounds against the base model
    SCORE = "score"  # the site applies the formula


class Fault(enum.StrEnum):
    """Who has to act."""

    TEAM = "team"  # the evaluation ends as rejected
    SYSTEM = "system"  # ours: retried, never costs the team anything
    NOTICE = "notice"  # worth mentioning, changes nothing


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about one submission.

    Attributes:
        code: key into :data:`CATALOGUE`.
        where: the file, tensor or key concerned, cleaned for display; may be empty.
        detail: facts as numbers and names (``expected [256, 256], found [256, 128]``); language-neutral.
    """

    code: str
    where: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """The meaning of a code: ``sentence("ko")`` says what happened, ``hint("ko")`` what to do next."""

    stage: Stage
    fault: Fault
    sentence: Text
    hint: Text


class CatalogueError(ValueError):
    """A catalog file is invalid; the message names file, code and key."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A table in a stage's file."""

    fault: Fault
    sentence: Text
    hint: Text | None = None

    def __post_init__(self) -> None:
        for name in ("sentence", "hint"):
            text = getattr(self, name)
            for language in ("en", "ko"):
                if text and not getattr(text, language).strip():
                    raise SchemaError(f"{name}.{language}", "empty")


@dataclass(frozen=True, slots=True)
class _Hints:
    """``hints.toml``: what to do next for codes of this fault that have no hint of their own."""

    system: Text


def load(folder: Path) -> dict[str, Kind]:
    """Return every problem code with its meaning, from one file per stage and the shared hints.

    Raises:
        CatalogError: a file is missing, unknown or not TOML; a key is unknown or of the wrong type; a text or
            one of its languages is missing or empty; a duplicate code.
    """
    names = [f"{stage}.toml" for stage in Stage]
    if unknown := {file.name for file in folder.iterdir()} - {"hints.toml", *names}:
        raise CatalogueError(f"{', '.join(sorted(unknown))}: not the name of a stage")
    shared = _decode("hints.toml", _Hints, "", _read(folder / "hints.toml"))
    found: dict[str, Kind] = {}
    for stage, name in zip(Stage, names, strict=True):
        for code, table in _read(folder / name).items():
            if code in found:
                raise CatalogueError(f"{name}: {code}: also in {found[code].stage}.toml")
            entry = _decode(name, _Entry, code, table)
            hint = entry.hint or (shared.system if entry.fault is Fault.SYSTEM else None)
            if hint is None:
                raise CatalogueError(f"{name}: {code}.hint: missing")
            found[code] = Kind(stage, entry.fault, entry.sentence, hint)
    return found


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"{file.name}: {error}") from error


def _decode(name: str, cls: type[T], code: str, table: object) -> T:
    try:
        return decode(cls, table, code)
    except SchemaError as error:
        raise CatalogueError(f"{name}: {error}") from error


def is_ours(problem: Problem) -> bool:
    """Whether the operator has to act rather than the team: a full disk has nothing to do with the
    checkpoint."""
    return CATALOGUE[problem.code].fault is Fault.SYSTEM


CATALOGUE = load(TEXTS)
