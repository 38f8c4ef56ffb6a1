"""Contest files, by id or path."""

from __future__ import annotations

from pathlib import Path

from baseline.terminal.errors import usage
from grader.contest import Contest, ContestError, find, load


def rules(name_or_path: str, *roots: Path) -> Contest:
    """Load the rules of a contest: its file, its folder, or its id, also from the contests in ``roots``.

    Raises:
        CliError: the contest does not exist here, or its file is invalid.
    """
    path = Path(name_or_path)
    if (path / "contest.toml").is_file():
        path = path / "contest.toml"
    try:
        return load(path if path.suffix == ".toml" else find(name_or_path, *roots))
    except ContestError as error:
        raise usage("CONTEST_UNKNOWN", f"{error}.", "Give its id or a .toml file.") from error


def known_here(name: str) -> Contest | None:
    """Load the rules, or return None if this installation does not include the contest."""
    try:
        return rules(name)
    except Exception:
        return None
