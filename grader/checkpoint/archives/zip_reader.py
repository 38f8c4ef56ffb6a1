"""Reads zip files, and accepts a central directory only if the local headers agree with it.

Layouts: PKWARE APPNOTE 4.3 (local header, central directory, end records, zip64), 4.4 (fields).
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from grader.checkpoint.archives.entries import CHUNK_BYTES, Entry, decode
from grader.checkpoint.finding import refuse

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")

_STORED, _DEFLATED = 0, 8
_STREAMED = 1 << 3  # sizes follow the data
# Encrypted, patch data, strong encryption, masked
_REFUSED_FLAGS = 1 << 0 | 1 << 5 | 1 << 6 | 1 << 13
_MAX_DIRECTORY_ENTRY_BYTES = 2048
_MAX16, _MAX32 = 0xFFFF, 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class _Member:
    name: bytes
    flags: int
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    header_offset: int
    mode: int
    data_offset: int = 0

    @property
    def shown(self) -> str:
        return self.name.decode("utf-8", "replace")

    @property
    def end(self) -> int:
        """Where the data ends. Before the local header is read, this is a lower bound."""
        least = self.header_offset + _LOCAL.size + len(self.name)
        return max(self.data_offset, least) + self.packed_bytes


class ZipReader:
    """The members of a zip file. The whole structure is checked before the first one is returned."""

    listable = True

    def __init__(self, file: BinaryIO, size_bytes: int, max_files: int) -> None:
        self._file = file
        self._size_bytes = size_bytes
        try:
            count, start, length_bytes = self._find_directory()
            if count > max_files or length_bytes > max_files * _MAX_DIRECTORY_ENTRY_BYTES:
                raise refuse("ARCHIVE_TOO_MANY_FILES", "", f"{count} > {max_files}")
            members = self._read_directory(count, start, length_bytes)
            _refuse_overlap(members)
            self._members = [self._locate(member, start) for member in members]
        except struct.error:
            raise refuse("ARCHIVE_CORRUPT", "", "truncated") from None
        _refuse_overlap(self._members)  # check again, now that the local header lengths are known

    def entries(self) -> Iterator[Entry]:
        for member in self._members:
            name = decode(member.name)
            kind = stat.S_IFMT(member.mode)
            if kind == stat.S_IFLNK:
                raise refuse("ARCHIVE_LINK", name)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise refuse("ARCHIVE_SPECIAL_FILE", name)
            is_folder = name.endswith("/") or kind == stat.S_IFDIR
            if is_folder and member.size_bytes:
                raise refuse("ARCHIVE_CORRUPT", name)
            yield Entry(name, member.size_bytes, is_folder, partial(self._chunks, member))

    def _find_directory(self) -> tuple[int, int, int]:
        """Return (entries, offset, bytes) of the central directory, which must end at the end records."""
        tail_bytes = min(self._size_bytes, _END.size + _MAX16)
        tail = self._read(self._size_bytes - tail_bytes, tail_bytes)
        at = tail.rfind(b"PK\x05\x06")
        if at < 0:
            raise refuse("ARCHIVE_CORRUPT", "", "no end record")
        _, disk, first_disk, here, count, length_bytes, start, comment = _END.unpack_from(tail, at)
        end = self._size_bytes - tail_bytes + at
        if end + _END.size + comment != self._size_bytes:
            raise refuse("ARCHIVE_CORRUPT", "", "data after the end")
        if disk or first_disk or here != count:
            raise refuse("ARCHIVE_UNSUPPORTED", "", "several volumes")
        if _MAX16 in (count,) or _MAX32 in (length_bytes, start):
            locator = self._read(end - _END64_LOCATOR.size, _END64_LOCATOR.size)
            magic, disk, end64, disks = _END64_LOCATOR.unpack(locator)
            if magic == b"PK\x06\x07":
                record = _END64.unpack(self._read(end64, _END64.size))
                magic, _, _, _, disk, first_disk, here, count, length_bytes, start = record
                if magic != b"PK\x06\x06" or disk or first_disk or here != count or disks > 1:
                    raise refuse("ARCHIVE_CORRUPT", "", "zip64 end record")
                end = end64
        if start + length_bytes != end:
            raise refuse("ARCHIVE_CORRUPT", "", "central directory")
        return count, start, length_bytes

    def _read_directory(self, count: int, start: int, length_bytes: int) -> list[_Member]:
        data = self._read(start, length_bytes)
        members, at = [], 0
        for _ in range(count):
            fields = _CENTRAL.unpack_from(data, at)
            magic, _, _, flags, method, _, _, crc, packed, size, *rest = fields
            name_bytes, extra_bytes, comment_bytes, disk, _, outer, offset = rest
            name_at = at + _CENTRAL.size
            extra_at = name_at + name_bytes
            at = extra_at + extra_bytes + comment_bytes
            if magic != b"PK\x01\x02" or at > len(data):
                raise refuse("ARCHIVE_CORRUPT", "", "central directory")
            name = data[name_at:extra_at]
            wide = [size, packed, offset]
            _widen(wide, data[extra_at : extra_at + extra_bytes])
            size, packed, offset = wide
            member = _Member(name, flags, method, crc, packed, size, offset, outer >> 16)
            known = method in (_STORED, _DEFLATED) and disk in (0, _MAX16)
            if flags & _REFUSED_FLAGS or not known:
                raise refuse("ARCHIVE_UNSUPPORTED", member.shown, f"method {method}")
            members.append(member)
        if at != len(data):
            raise refuse("ARCHIVE_CORRUPT", "", "central directory")
        return members

    def _locate(self, member: _Member, directory_start: int) -> _Member:
        """Return the member with the position of its data, after comparing both headers."""
        fields = _LOCAL.unpack(self._read(member.header_offset, _LOCAL.size))
        magic, _, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = fields
        rest = self._read(member.header_offset + _LOCAL.size, name_bytes + extra_bytes)
        wide = [size, packed]
        _widen(wide, rest[name_bytes:])
        stated = (crc, *wide)
        known = (member.crc, member.size_bytes, member.packed_bytes)
        streamed = flags & _STREAMED and all(
            a in (0, b) for a, b in zip(stated, known, strict=True)
        )
        same_name = magic == b"PK\x03\x04" and rest[:name_bytes] == member.name
        same_kind = method == member.method and not flags & _REFUSED_FLAGS
        same_size = stated == known or bool(streamed)
        if method == _STORED:
            same_size = same_size and member.size_bytes == member.packed_bytes
        data_offset = member.header_offset + _LOCAL.size + len(rest)
        found = replace(member, data_offset=data_offset)
        if not (same_name and same_kind and same_size and found.end <= directory_start):
            raise refuse("ARCHIVE_CORRUPT", member.shown, "local header")
        return found

    def _chunks(self, member: _Member) -> Iterator[bytes]:
        crc = 0
        for chunk in self._stored(member) if member.method == _STORED else self._inflated(member):
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if crc != member.crc:
            raise refuse("ARCHIVE_CORRUPT", member.shown, "CRC")

    def _stored(self, member: _Member) -> Iterator[bytes]:
        left, at = member.packed_bytes, member.data_offset
        while left:
            chunk = self._read(at, min(left, CHUNK_BYTES))
            at, left = at + len(chunk), left - len(chunk)
            yield chunk

    def _inflated(self, member: _Member) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for packed in self._stored(member):
                waiting = packed
                while waiting and not inflater.eof:
                    yield inflater.decompress(waiting, CHUNK_BYTES)
                    waiting = inflater.unconsumed_tail
            while not inflater.eof:
                chunk = inflater.decompress(b"", CHUNK_BYTES)
                if not chunk:
                    break
                yield chunk
        except zlib.error:
            raise refuse("ARCHIVE_CORRUPT", member.shown) from None
        if not inflater.eof or inflater.unused_data:
            raise refuse("ARCHIVE_CORRUPT", member.shown)

    def _read(self, offset: int, length_bytes: int) -> bytes:
        if offset < 0 or offset + length_bytes > self._size_bytes:
            raise refuse("ARCHIVE_CORRUPT", "", "truncated")
        self._file.seek(offset)
        data = self._file.read(length_bytes)
        if len(data) != length_bytes:
            raise refuse("ARCHIVE_CORRUPT", "", "truncated")
        return data


def _refuse_overlap(members: list[_Member]) -> None:
    end = 0
    for member in sorted(members, key=lambda m: m.header_offset):
        if member.header_offset < end:
            raise refuse("ARCHIVE_OVERLAP", member.shown)
        end = member.end


def _widen(values: list[int], extra: bytes) -> None:
    """Replace 32-bit placeholders with the 64-bit values of the zip64 extra field, in its order."""
    at = 0
    while at + 4 <= len(extra):
        kind, length_bytes = struct.unpack_from("<2H", extra, at)
        at += 4
        if kind == 1:
            field = extra[at : at + length_bytes]
            for index, value in enumerate(values):
                if value == _MAX32:
                    if len(field) < 8:
                        raise refuse("ARCHIVE_CORRUPT", "", "zip64")
                    (values[index],) = struct.unpack_from("<Q", field)
                    field = field[8:]
            return
        at += length_bytes
