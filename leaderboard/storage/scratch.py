"""Temporary folders below ``HOME/scratch``. What a killed process leaves there is removed by the sweeper.

A folder is locked as long as its process lives, and the kernel ends the lock with the process, however that
happens. No clock decides: a check that takes an hour keeps its folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """A new empty folder, removed at the end."""
    with _making():
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=_root()))
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        shutil.rmtree(path)
        os.close(lock)


def remove_abandoned() -> None:
    """For the sweeper: remove the folders of processes that are gone."""
    for path in [one for one in _root().iterdir() if one.is_dir() and not one.is_symlink()]:
        with _making():
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            finally:
                os.close(lock)
            shutil.rmtree(path, ignore_errors=True)


def _root() -> Path:
    root: Path = settings.HOME / "scratch"
    root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def _making() -> Iterator[None]:
    """Alone: between making a folder and locking it, it looks abandoned."""
    root = os.open(_root(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(root, fcntl.LOCK_EX)
        yield
    finally:
        os.close(root)
