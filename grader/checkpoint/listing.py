"""Checks a checkpoint from its file listing, by the archive rules, then lays out headers to read."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from grader.checkpoint.archives.entries import Admission, Entry
from grader.checkpoint.finding import Refused, fold, problem, several
from grader.checkpoint.layout import find_name_problems, is_read
from grader.checkpoint.safetensors import MAX_HEADER_BYTES
from grader.contest import Limits
from grader.problems.catalogue import Problem
from grader.protocol.documents import HubFile

FIRST_BYTES = 100_000  # fits most headers, so one request per file is usually enough
# Over all files together; headers past it are cut off and read as damaged
MAX_HEADERS_BYTES = 64 << 20
MAX_WHOLE_BYTES = 32 << 20  # a longer tokenizer differs from the organizer's anyway

Read = Callable[[str, int, int], bytes]  # name, first byte, byte count


def find_listing_problems(files: Iterable[HubFile], limits: Limits) -> tuple[Problem, ...]:
    """Report what would be reported for an archive with these files: names, count, folders, bytes to read.

    Only files directly in the repository count; hidden folders are ignored.
    """
    admission, admitted = Admission(limits), []
    try:
        for file in files:
            entry = Entry(file.name, file.size_bytes, is_folder=False, chunks=_nothing)
            if admission.admit(entry):
                admitted.append(file)
    except Refused as refusal:
        return refusal.problems
    names = [file.name for file in admitted]
    problems = several("LAYOUT_SUBFOLDER", [name for name in names if "/" in name])
    if problems := problems or find_name_problems(names):
        return fold(problems)
    size_bytes = sum(file.size_bytes for file in admitted if is_read(file.name))
    limit = min(limits.archive_bytes, limits.unpacked_bytes)
    if size_bytes > limit:
        return (problem("UPLOAD_TOO_LARGE", "", f"{size_bytes:,} > {limit:,} bytes"),)
    return ()


def lay_out(files: Iterable[HubFile], folder: Path, read: Read) -> None:
    """Write an admitted listing to ``folder``: small files in full, weights as sparse files that contain only
    headers, and empty files for what is never read.

    The strict reader accepts them like complete files because lengths and headers are real.
    """
    left_bytes = MAX_HEADERS_BYTES
    for file in files:
        if "/" in file.name:  # in a hidden folder, which is ignored
            continue
        path, head = folder / file.name, b""
        if file.name.endswith(".safetensors") and is_read(file.name):
            head = _header(file.name, read, left_bytes)
            left_bytes -= len(head)
        elif is_read(file.name) and 0 < file.size_bytes <= MAX_WHOLE_BYTES:
            head = read(file.name, 0, file.size_bytes)
        with path.open("xb") as target:
            target.write(head)
            target.truncate(max(file.size_bytes, len(head)) if is_read(file.name) else 0)


def _header(name: str, read: Read, left_bytes: int) -> bytes:
    head = read(name, 0, FIRST_BYTES)
    if len(head) >= 8:
        (length,) = struct.unpack("<Q", head[:8])
        missing = 8 + length - len(head)
        if 0 < missing <= left_bytes and length <= MAX_HEADER_BYTES:
            head += read(name, len(head), missing)
    return head


def _nothing() -> Iterator[bytes]:
    return iter(())
