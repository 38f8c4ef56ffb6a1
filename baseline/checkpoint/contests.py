"""Contest files, by id or path."""

from __future__ import annotations

from pathlib import Path

from baseline.terminal.errors import usage
from grader.contest import Contest, ContestError, find, load


def rules(name_or_path: str) -> Contest:
    """Load the rules of a contest.

    Raises:
        CliError: the contest does not exist here, or its file is invalid.
    """
    path = Path(name_or_path)
    try:
        return load(path if path.suffix == ".toml" else find(name_or_path))
    except ContestError as error:
        raise usage("CONTEST_UNKNOWN", f"{error}.", "Give its id or a .toml file.") from error


def known_here(name: str) -> Contest | None:
    """Load the rules, or return None if this installation does not include the contest."""
    try:
        return rules(name)
    except Exception:
        return None
