"""Folders of one attempt on the worker's disk: newly created, locked to one grade at a time, always removed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from grader.protocol.worker import Job, decode_job, encode_job
from grader.schema import SchemaError
from grader.worker.faults import failed
from grader.worker.settings import Settings

_log = logging.getLogger(__name__)

PREFIX = "g-"
HELD = "held.json"
# Unix socket paths end at 107 bytes, and vLLM appends a name of 36 characters.
MAX_PATH = 50


@contextlib.contextmanager
def exclusive(settings: Settings) -> Iterator[bool]:
    """Return whether this process is now the only one grading in this scratch folder: one GPU, one grade.

    Removes what a killed worker left behind. The lock ends with its process, so it is never stale.
    """
    settings.scratch.mkdir(parents=True, exist_ok=True)
    with (settings.scratch / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        for leftover in settings.scratch.glob(f"{PREFIX}*"):
            remove(leftover)
        yield True


@contextlib.contextmanager
def holding(settings: Settings, job: Job) -> Iterator[None]:
    """Record on disk which job this machine is running. Only a killed process leaves the record behind."""
    note = settings.scratch / HELD
    note.write_text(json.dumps(encode_job(job)))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def left_behind(settings: Settings) -> Job | None:
    """Return, once, the job that a killed process of this machine was running. The caller must be
    :func:`exclusive`.
    """
    note = settings.scratch / HELD
    try:
        text = note.read_text()
    except FileNotFoundError:
        return None
    note.unlink()
    try:
        return decode_job(json.loads(text))
    except (
        ValueError,
        SchemaError,
    ) as error:  # killed while writing, or written by another version
        _log.warning("%s is of no use: %s", note, error)
        return None


@contextlib.contextmanager
def create(settings: Settings) -> Iterator[Path]:
    """Create a new empty folder below the scratch folder and remove it at the end."""
    settings.scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=settings.scratch))
    try:
        if len(str(folder)) > MAX_PATH:
            raise failed(
                "SYS_INTERNAL", "GRADER_SCRATCH", f"path too long for sockets: {settings.scratch}"
            )
        yield folder
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """Remove everything, even what an engine made unreadable. What cannot be removed is logged and left, so
    that no report is lost and no worker stops.
    """
    try:
        shutil.rmtree(folder)
    except OSError:
        _open_up(folder)
        try:
            shutil.rmtree(folder)
        except OSError as error:
            _log.error("could not remove %s: %s", folder, error)


def _open_up(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
    for place, names, _ in os.walk(folder):
        for inner in (Path(place, name) for name in names):
            if not inner.is_symlink():
                with contextlib.suppress(OSError):
                    inner.chmod(0o700)
