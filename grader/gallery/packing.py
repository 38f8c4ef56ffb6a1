"""Writes archives that no normal tool writes: a zip writer that can lie, and tar entries of every kind."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """One zip entry. Fields that are ``None`` are computed; others are written unchanged.

    Attributes:
        local_name, local_size: values in the local header, if different from the directory.
        at: offset of the local header that the directory points to.
        mode: Unix mode in the external attributes.
    """

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 1 << 11
    mode: int = 0o100644
    crc: int | None = None
    size: int | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    at: int | None = None


def members(files: Mapping[str, bytes], top: str = "", method: int = 8) -> list[Member]:
    return [Member((top + name).encode(), data, method) for name, data in files.items()]


def zip_bytes(entries: Iterable[Member], comment: bytes = b"", count: int | None = None) -> bytes:
    """Build a zip file of the entries, in order. ``count`` replaces the number in the end record."""
    body, directory, number = bytearray(), bytearray(), 0
    for entry in entries:
        packed = _deflate(entry.data) if entry.method == 8 else entry.data
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        size = len(entry.data) if entry.size is None else entry.size
        local_name = entry.name if entry.local_name is None else entry.local_name
        local_size = size if entry.local_size is None else entry.local_size
        at = len(body) if entry.at is None else entry.at
        if entry.at is None:
            fixed = (b"PK\x03\x04", 20, entry.flags, entry.method, 0, 0x5A21)
            body += struct.pack(
                "<4s5H3L2H", *fixed, crc, len(packed), local_size, len(local_name), 0
            )
            body += local_name + packed
        made_by = (b"PK\x01\x02", 0x0314, 20, entry.flags, entry.method, 0, 0x5A21)
        sizes = (crc, len(packed), size, len(entry.name), 0, 0, 0, 0)
        directory += struct.pack("<4s6H3L5H2L", *made_by, *sizes, entry.mode << 16, at)
        directory += entry.name
        number += 1
    number = number if count is None else count
    number &= 0xFFFF
    places = (len(directory), len(body), len(comment))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, number, number, *places)
    return bytes(body + directory + end + comment)


def tar_bytes(
    files: Mapping[str, bytes], extra: Iterable[tarfile.TarInfo] = (), top: str = ""
) -> bytes:
    """Build a tar file of regular files, followed by entries without data."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(top + name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info)
    return buffer.getvalue()


def tar_entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def _deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()
