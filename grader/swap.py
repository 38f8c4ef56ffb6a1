"""A file or folder is replaced with two renames, so the old one stays whole until the new one is in place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def swap(made: Path, target: Path) -> None:
    """Move ``made`` to ``target`` on the same disk, and delete what was there.

    Raises:
        OSError: ``target`` is as it was.
    """
    if not target.exists():
        made.rename(target)
        return
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    target.rename(old)
    try:
        made.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old) if old.is_dir() else old.unlink()
