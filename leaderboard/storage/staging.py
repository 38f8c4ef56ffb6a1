"""Bytes of unfinished uploads on this machine's disk, and their running digests."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from django.conf import settings

from leaderboard.storage import disk

MOST_DIGESTS = 64
WRITE_BYTES = 256 << 10  # writing a whole block in one call takes the kernel ten times as long


class Lost(Exception):
    """The disk holds fewer bytes than the row says, so it is not the same disk any more."""


def folder() -> Path:
    found: Path = settings.HOME / "incoming"
    found.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def path_of(key: str) -> Path:
    return folder() / f"{key}.part"


def allocate(key: str) -> None:
    os.close(os.open(path_of(key), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def write(key: str, offset_bytes: int, block: bytes) -> None:
    """Write ``block`` at the offset, truncate what follows, and sync to disk.

    Raises:
        Lost: the bytes before the offset are missing.
        OSError: the disk is full, or only its reserve is left; the file is as long as before.
    """
    try:
        descriptor = os.open(path_of(key), os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Lost(key) from error
    try:
        if os.fstat(descriptor).st_size < offset_bytes:
            raise Lost(key)
        os.ftruncate(descriptor, offset_bytes)
        try:
            disk.require(len(block))
            view, position = memoryview(block), offset_bytes
            while view:
                count = os.pwrite(descriptor, view[:WRITE_BYTES], position)
                view, position = view[count:], position + count
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, offset_bytes)
            raise
    finally:
        os.close(descriptor)


class Digests:
    """Running sha256 of uploads. hashlib's state cannot be stored, so it is kept in this process.

    Bytes received by another process, or before a restart, are read from the disk once at the end.
    """

    def __init__(self) -> None:
        self._running: OrderedDict[str, tuple[int, Any]] = OrderedDict()
        self._guard = threading.Lock()

    def update(self, key: str, offset_bytes: int, block: bytes) -> None:
        """Add a block that was committed at the offset."""
        position, digest = self._take(key)
        if position != offset_bytes:
            return  # not seen from the start by this process: finish reads the file
        digest.update(block)
        self._keep(key, position + len(block), digest)

    def of(self, key: str, path: Path) -> str:
        """The whole file's sha256; reads only what this process has not seen."""
        position, digest = self._take(key)
        with path.open("rb") as file:
            file.seek(position)
            while block := file.read(1 << 20):
                digest.update(block)
                position += len(block)
        self._keep(key, position, digest)
        return str(digest.hexdigest())

    def forget(self, key: str) -> None:
        with self._guard:
            self._running.pop(key, None)

    def _take(self, key: str) -> tuple[int, Any]:
        with self._guard:
            return self._running.pop(key, None) or (0, hashlib.sha256())

    def _keep(self, key: str, position: int, digest: Any) -> None:
        with self._guard:
            self._running[key] = (position, digest)
            while len(self._running) > MOST_DIGESTS:
                self._running.popitem(last=False)


digests = Digests()
