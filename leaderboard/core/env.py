"""Reading settings from the environment; ``NAME_FILE`` names a file with the value, as container secrets do."""

from __future__ import annotations

import os
from pathlib import Path


def text(name: str, default: str = "") -> str:
    """The value of ``NAME``, or the content of the file that ``NAME_FILE`` names, or ``default``."""
    if file := os.environ.get(f"{name}_FILE"):
        return Path(file).read_text("utf-8").strip()
    return os.environ.get(name, default)


def flag(name: str, default: bool) -> bool:
    """``1/true/yes/on`` or ``0/false/no/off``; anything else raises an error."""
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
