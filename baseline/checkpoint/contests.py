"""Contest files, by id or path."""

from __future__ import annotations

from pathlib import Path

from baseline.terminal.errors import usage
from grader.contest import Contest, ContestError, find, load


def rules(name_or_path: str) -> Contest:
    """The rules of a contest.

    Raises:
        CliError: no such contest here, or its file is not valid.
    """
    path = Path(name_or_path)
    try:
        return load(path if path.suffix == ".toml" else find(name_or_path))
    except ContestError as error:
        raise usage("CONTEST_UNKNOWN", f"{error}.", "Give its id or a .toml file.") from error


def known_here(name: str) -> Contest | None:
    """The same, or None when this installation does not ship the contest."""
    try:
        return rules(name)
    except Exception:
        return None
