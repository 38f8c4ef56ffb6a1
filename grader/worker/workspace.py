"""Folders of one attempt on the worker's disk: made fresh, locked to one grade at a time, always removed."""

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
# Unix socket paths end at 107 bytes, and vLLM appends a 36-character name of its own.
MAX_PATH = 50


@contextlib.contextmanager
def exclusive(settings: Settings) -> Iterator[bool]:
    """Whether this process now is the only one grading in this scratch folder: one GPU, one grade.

    Leftovers of a worker that was killed are removed; the lock dies with its process, so it is never stale.
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
    """Note on the disk which job this machine is at; only a process that is killed leaves the note."""
    note = settings.scratch / HELD
    note.write_text(json.dumps(encode_job(job)))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def left_behind(settings: Settings) -> Job | None:
    """The job that a killed process of this machine was at, once. For whoever is :func:`exclusive`."""
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
    ) as error:  # killed while it wrote; or written by another version
        _log.warning("%s is of no use: %s", note, error)
        return None


@contextlib.contextmanager
def create(settings: Settings) -> Iterator[Path]:
    """A new empty folder below the scratch folder, removed at the end."""
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
    """All of it, also what an engine made unreadable for us. What cannot be removed is logged and stays: no
    report is lost for it, and no worker stops."""
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
