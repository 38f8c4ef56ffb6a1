"""A checkpoint of which only the listing is here: judged as an archive's, then laid out as headers to read."""

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

FIRST_BYTES = 100_000  # holds most headers, so one request a file is usually enough
MAX_HEADERS_BYTES = (
    64 << 20
)  # of all files together; beyond it headers are cut, and read as damaged
MAX_WHOLE_BYTES = 32 << 20  # a tokenizer; what is longer differs from the organizer's anyway

Read = Callable[[str, int, int], bytes]  # name, first byte, how many


def find_listing_problems(files: Iterable[HubFile], limits: Limits) -> tuple[Problem, ...]:
    """What would be said of an archive with these files: names, number, folders, size of what is read.

    Only files directly in the repository count; hidden folders are left alone.
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
    """Put an admitted listing into ``folder``: small files whole, weights as sparse files that hold only
    headers, empty files for what is never read.

    The strict reader takes them as it takes whole files, because lengths and headers are the real ones.
    """
    left_bytes = MAX_HEADERS_BYTES
    for file in files:
        if "/" in file.name:  # of a hidden folder, which nobody looks into
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
