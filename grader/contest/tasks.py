"""The names of lm-eval tasks, read from their YAML files as text: lm-eval need not be installed."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"^(?:task|group):[ \t]*[\"']?([\w\-.+/]+)", re.M)


def names(text: str) -> list[str]:
    """Return the task and group names that one file defines."""
    return _NAME.findall(text)


def names_in(folder: Path) -> set[str]:
    """Return the task and group names that the files below a folder define."""
    texts = (file.read_text("utf-8", errors="replace") for file in folder.rglob("*.yaml"))
    return {name for text in texts for name in names(text)}
