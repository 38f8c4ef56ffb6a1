"""The version of the running code."""

from __future__ import annotations

import importlib.metadata
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def release_version() -> str:
    """``0.1.0`` for an installed package, ``0.1.0+3f2a9c1`` for a clone, ``…-dirty`` for a modified clone."""
    try:
        version = importlib.metadata.version("paretoboard")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    if not (ROOT / ".git").exists():
        return version
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{version}+{described.stdout.strip()}" if described.returncode == 0 else version
