"""Unpacks an uploaded archive without trusting it.

The zip and tar readers are our own: common libraries flatten ``..``, keep the last of two duplicate names,
follow or fake links, and allocate what a header claims. Every entry is checked before any of it is written,
bytes are counted as they are written, and after any problem the folder is left empty.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from grader.checkpoint.archives import tar_reader, zip_reader
from grader.checkpoint.archives.entries import Admission, Entry, Reader
from grader.checkpoint.finding import Refused, problem, refuse
from grader.contest import Limits
from grader.problems.catalogue import Problem

RATIO = 20  # unpacked to packed size; model weights stay below 4
RATIO_FREE_BYTES = 16 << 20  # below this, any compression ratio is fine
_OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT}


def sniff(path: Path) -> str:
    """Detect ``zip``, ``tar``, ``tar.gz`` or ``tar.zst`` by content, not by name; empty if none of them."""
    with path.open("rb") as file:
        head = file.read(512)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if head[:3] == b"\x1f\x8b\x08":
        return "tar.gz"
    if head[:4] == b"\x28\xb5\x2f\xfd":
        return "tar.zst"
    return "tar" if tar_reader.is_header(head) else ""


def unpack(archive: Path, folder: Path, limits: Limits) -> list[Problem]:
    """Unpack ``archive`` into ``folder``, which is created or must be empty.

    Files in one optional top directory are unpacked directly into ``folder``. Operating system junk
    (``__MACOSX``, ``.DS_Store``) is dropped. An empty list means success; otherwise nothing is left behind.

    Raises:
        FileExistsError: ``folder`` is not empty, which is the caller's mistake, not the team's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.ExitStack() as undo:
            written = _Folder(descriptor)
            undo.callback(written.discard)
            try:
                _extract(archive, written, limits)
            except Refused as error:
                return list(error.problems)
            except OSError as error:
                code = "SYS_DISK_FULL" if error.errno in _OUT_OF_SPACE else "SYS_STORAGE"
                return [problem(code, "", error.strerror or type(error).__name__)]
            undo.pop_all()
            return []
    finally:
        os.close(descriptor)


def _extract(archive: Path, target: _Folder, limits: Limits) -> None:
    packed_bytes = archive.stat().st_size
    if not packed_bytes:
        raise refuse("UPLOAD_EMPTY")
    if packed_bytes > limits.archive_bytes:
        raise refuse("UPLOAD_TOO_LARGE", "", f"{packed_bytes} B > {limits.archive_bytes} B")
    kind = sniff(archive)
    if not kind:
        raise refuse("ARCHIVE_FORMAT")
    most_bytes = min(limits.unpacked_bytes, max(RATIO * packed_bytes, RATIO_FREE_BYTES))
    with archive.open("rb") as file:
        reader: Reader
        if kind == "zip":
            reader = zip_reader.ZipReader(file, packed_bytes, limits.max_files)
        else:
            reader = tar_reader.TarReader(file, kind.removeprefix("tar").lstrip("."))
        # Cheap first pass, so that nothing is written for an archive that will be refused
        if reader.listable:
            listing = Admission(limits)
            for entry in reader.entries():
                listing.admit(entry)
            listing.names()
            _refuse_bomb(listing.total_bytes, most_bytes, limits)
            if listing.total_bytes > shutil.disk_usage(target.descriptor).free:
                raise refuse("SYS_DISK_FULL", "", f"{listing.total_bytes} B")
        admission = Admission(limits)
        for entry in reader.entries():
            if admission.admit(entry):
                _refuse_bomb(admission.total_bytes, most_bytes, limits)
                target.write(entry, most_bytes, limits)
            elif not reader.listable:  # skipped parts of a stream still have to be decompressed
                _refuse_bomb(admission.dropped_bytes, most_bytes, limits)
        target.name(admission.names())


def _refuse_bomb(total_bytes: int, most_bytes: int, limits: Limits) -> None:
    if total_bytes > most_bytes:
        code = "ARCHIVE_RATIO" if most_bytes < limits.unpacked_bytes else "ARCHIVE_TOO_LARGE"
        raise refuse(code, "", f"{total_bytes} B > {most_bytes} B")


class _Folder:
    """An empty directory being filled. Files get numbered names first and final names once all entries are
    valid.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._present: list[str] = []
        self._written_bytes = 0

    def write(self, entry: Entry, most_bytes: int, limits: Limits) -> None:
        part = f":{len(self._present):05d}"  # no admitted name contains a colon
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(part, flags, 0o600, dir_fd=self.descriptor), "wb") as file:
            self._present.append(part)
            for chunk in self._counted(entry, most_bytes, limits):
                file.write(chunk)

    def _counted(self, entry: Entry, most_bytes: int, limits: Limits) -> Iterator[bytes]:
        size_bytes = 0
        for chunk in entry.chunks():
            size_bytes += len(chunk)
            self._written_bytes += len(chunk)
            _refuse_bomb(self._written_bytes, most_bytes, limits)
            if size_bytes > entry.size_bytes:
                break
            yield chunk
        if size_bytes != entry.size_bytes:
            raise refuse("ARCHIVE_CORRUPT", entry.name, f"{size_bytes} B ≠ {entry.size_bytes} B")

    def name(self, names: list[str]) -> None:
        """Rename the numbered parts, in order, to their final names."""
        for index, (part, name) in enumerate(zip(tuple(self._present), names, strict=True)):
            os.rename(part, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            self._present[index] = name

    def discard(self) -> None:
        for name in self._present:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self.descriptor)
