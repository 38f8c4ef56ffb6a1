"""Three helpers that read settings from the environment; ``NAME_FILE`` holds a secret for containers."""

from __future__ import annotations

import os
from pathlib import Path


def text(name: str, default: str = "") -> str:
    """The value of ``NAME``, else the content of the file that ``NAME_FILE`` names, else ``default``."""
    if file := os.environ.get(f"{name}_FILE"):
        return Path(file).read_text("utf-8").strip()
    return os.environ.get(name, default)


def flag(name: str, default: bool) -> bool:
    """``1/true/yes/on`` and ``0/false/no/off``; anything else is refused rather than guessed."""
    value = text(name).lower()
    if not value:
        return default
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{name}={value!r}: write 1 or 0")


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]
