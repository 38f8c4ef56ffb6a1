"""Reads tar files with ustar, pax and GNU long names, plain or in a gzip or zstd stream.

Layouts: POSIX.1-2024 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from grader.checkpoint.archives.entries import CHUNK_BYTES, Entry, decode
from grader.checkpoint.finding import refuse

_BLOCK_BYTES = 512
MAX_EXTENSION_BYTES = 1 << 20  # pax records or a long name
# In the whole archive; 2,000 files with extended attributes need 2 MiB.
MAX_EXTENSIONS_BYTES = 8 << 20
_MAX_EXTENSIONS = 8  # in a row, for one entry
_MAX_LENGTH_DIGITS = 7  # of a pax record, which is shorter than its header
_MAX_PADDING_BYTES = 1 << 20
_FILE, _FOLDER, _LINKS = b"0\x007", b"5", b"12K"
_PAX, _PAX_GLOBAL, _LONG_NAME, _SPARSE = b"x", b"g", b"L", b"S"


def is_header(block: bytes) -> bool:
    """Return whether the block can start a tar file, that is, whether its checksum is valid."""
    if len(block) < _BLOCK_BYTES or not any(block):
        return False
    stated = _octal(block[148:156])
    return stated == sum(block[:148]) + 8 * 32 + sum(block[156:_BLOCK_BYTES])


class TarReader:
    """The entries of a tar file in order. Plain files are ``listable`` because their data can be skipped by
    seeking.
    """

    def __init__(self, file: BinaryIO, compression: str) -> None:
        self.listable = not compression
        self._file = file
        self._compression = compression

    def entries(self) -> Iterator[Entry]:
        self._file.seek(0)
        source = _Source(_STREAMS[self._compression](self._file))
        name, size_bytes, extensions, extension_bytes = b"", -1, 0, 0
        total_bytes = 0  # of all extensions
        while block := _next_header(source):
            kind, stored_bytes = block[156:157], _octal(block[124:136])
            if stored_bytes < 0:
                raise refuse("ARCHIVE_CORRUPT", "", "tar header")
            if kind in (_PAX, _PAX_GLOBAL, _LONG_NAME):
                extensions += 1
                extension_bytes += stored_bytes
                total_bytes += stored_bytes
                if total_bytes > MAX_EXTENSIONS_BYTES:
                    raise refuse("ARCHIVE_CORRUPT", "", f"tar headers of {total_bytes} B")
                data = _extension(source, stored_bytes, extensions)
                if kind == _LONG_NAME:
                    name = data.rstrip(b"\0")
                elif kind == _PAX:
                    name, size_bytes = _pax(data, name)
                continue
            text = decode(name or _ustar_name(block))
            _refuse_kind(kind, text, block)
            left_bytes = stored_bytes if size_bytes < 0 else size_bytes
            is_folder = kind == _FOLDER or text.endswith("/")
            if is_folder and left_bytes:
                raise refuse("ARCHIVE_CORRUPT", text)
            data_of = _Data(source, left_bytes)
            yield Entry(text, left_bytes, is_folder, data_of.chunks, extension_bytes)
            data_of.finish()
            name, size_bytes, extensions, extension_bytes = b"", -1, 0, 0
        _drain(source)


def _refuse_kind(kind: bytes, name: str, block: bytes) -> None:
    if kind in _LINKS:
        raise refuse("ARCHIVE_LINK", name)
    if kind == _SPARSE:
        real_bytes = _octal(block[483:495])
        code = "ARCHIVE_TOO_LARGE" if real_bytes > 1 << 40 else "ARCHIVE_SPECIAL_FILE"
        raise refuse(code, name, f"sparse, {real_bytes} B")
    if kind not in _FILE and kind != _FOLDER:
        raise refuse("ARCHIVE_SPECIAL_FILE", name)


class _Data:
    """The data of one entry. Data the consumer leaves unread is skipped along with the padding."""

    def __init__(self, source: _Source, size_bytes: int) -> None:
        self._source = source
        self._left_bytes = size_bytes
        self._padding_bytes = -size_bytes % _BLOCK_BYTES

    def chunks(self) -> Iterator[bytes]:
        while self._left_bytes:
            chunk = self._source.read(min(self._left_bytes, CHUNK_BYTES))
            self._left_bytes -= len(chunk)
            yield chunk

    def finish(self) -> None:
        self._source.skip(self._left_bytes + self._padding_bytes)


def _next_header(source: _Source) -> bytes:
    """Return the next header block, or empty bytes at the zero block that ends the archive."""
    block = source.read(_BLOCK_BYTES)
    if not any(block):
        return b""
    if not is_header(block):
        first = source.read_bytes == _BLOCK_BYTES
        raise refuse("ARCHIVE_FORMAT" if first else "ARCHIVE_CORRUPT", "", "tar header")
    return block


def _drain(source: _Source) -> None:
    """Read the padding after the end, which makes gzip verify its checksum."""
    left_bytes = _MAX_PADDING_BYTES
    while chunk := source.read_some(CHUNK_BYTES):
        left_bytes -= len(chunk)
        if any(chunk) or left_bytes < 0:
            raise refuse("ARCHIVE_CORRUPT", "", "data after the end")


def _ustar_name(block: bytes) -> bytes:
    name = block[:100].split(b"\0", 1)
    if len(name) > 1 and name[1].strip(b"\0"):
        raise refuse("ARCHIVE_PATH", name[0].decode("utf-8", "replace"), "NUL")
    prefix = block[345:500].rstrip(b"\0") if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name[0] if prefix else name[0]


def _extension(source: _Source, size_bytes: int, count: int) -> bytes:
    if size_bytes > MAX_EXTENSION_BYTES or count > _MAX_EXTENSIONS:
        raise refuse("ARCHIVE_CORRUPT", "", f"tar header of {size_bytes} B")
    data = source.read(size_bytes)
    source.skip(-size_bytes % _BLOCK_BYTES)
    return data


def _pax(data: bytes, name: bytes) -> tuple[bytes, int]:
    """Return (name, size or -1) from a pax header, whose records are ``length key=value\n``.

    Reads every byte once. Cutting each record off the front copied the rest 200,000 times per header, and an
    archive of 715 kB, which has thousands of them, took an hour.
    """
    size, at = -1, 0
    while at < len(data):
        space = data.find(b" ", at, at + _MAX_LENGTH_DIGITS + 1)
        digits = data[at:space] if space > at else b""
        end = at + int(digits) if digits.isdigit() else 0
        if not space < end <= len(data):
            raise refuse("ARCHIVE_CORRUPT", "", "pax header")
        key, equals, value = data[space + 1 : end].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise refuse("ARCHIVE_CORRUPT", "", "pax header")
        value, at = value[:-1], end
        if key.startswith(b"GNU.sparse"):
            raise refuse("ARCHIVE_SPECIAL_FILE", decode(name), "sparse")
        if key == b"path":
            name = value
        elif key == b"size":
            if not value.isdigit() or len(value) > 18:
                raise refuse("ARCHIVE_CORRUPT", "", "pax size")
            size = int(value)
    return name, size


def _octal(field: bytes) -> int:
    """Parse a number field, octal text or GNU base-256. Returns -1 if it is neither."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    if not text:
        return 0
    try:
        return int(text, 8) if text.isdigit() else -1
    except ValueError:
        return -1


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Source:
    """Reads exact byte counts from a stream."""

    def __init__(self, stream: _Readable) -> None:
        self._stream = stream
        self.read_bytes = 0

    def read_some(self, size_bytes: int) -> bytes:
        chunk = self._stream.read(size_bytes)
        self.read_bytes += len(chunk)
        return chunk

    def read(self, size_bytes: int) -> bytes:
        parts = []
        while size_bytes:
            chunk = self.read_some(size_bytes)
            if not chunk:
                raise refuse("ARCHIVE_CORRUPT", "", "truncated")
            parts.append(chunk)
            size_bytes -= len(chunk)
        return b"".join(parts)

    def skip(self, size_bytes: int) -> None:
        if isinstance(self._stream, _Plain):
            self._stream.skip(size_bytes)
            return
        while size_bytes:
            size_bytes -= len(self.read(min(size_bytes, CHUNK_BYTES)))


class _Plain:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size_bytes = os.fstat(file.fileno()).st_size

    def read(self, size: int, /) -> bytes:
        return self._file.read(size)

    def skip(self, size_bytes: int) -> None:
        if self._file.tell() + size_bytes > self._size_bytes:
            raise refuse("ARCHIVE_CORRUPT", "", "truncated")
        self._file.seek(size_bytes, os.SEEK_CUR)


GZIP_READ_BYTES = 1 << 16
FREE_MEMBERS, MEAN_MEMBER_BYTES = 1000, 4096


class _Gzip:
    """Decompress the members of a gzip file in turn, never more than requested at a time.

    Some tools write one member per 64 KB block. Archives of very many tiny members are refused: no real tool
    writes them, and each member costs a copy of the data read past it. Half a million took 40 s.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._packed = b""
        self._inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._members = self._inflated_bytes = 0

    def read(self, size: int, /) -> bytes:
        while True:
            if self._inflater.eof:
                self._members += 1
                mean_bytes = self._inflated_bytes / self._members
                if self._members > FREE_MEMBERS and mean_bytes < MEAN_MEMBER_BYTES:
                    raise refuse("ARCHIVE_UNSUPPORTED", "", f"gzip: {self._members} members")
                rest = self._inflater.unused_data or self._file.read(GZIP_READ_BYTES)
                self._packed = rest.lstrip(b"\0")  # padding after the last member
                if not self._packed:
                    return b""
                self._inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
            self._packed = self._packed or self._file.read(GZIP_READ_BYTES)
            ended = not self._packed
            try:
                chunk = self._inflater.decompress(self._packed, size)
            except zlib.error:
                raise refuse("ARCHIVE_CORRUPT", "", "gzip") from None
            self._packed = self._inflater.unconsumed_tail
            if chunk:
                self._inflated_bytes += len(chunk)
                return chunk
            if ended and not self._inflater.eof:
                raise refuse("ARCHIVE_CORRUPT", "", "truncated")


class _Zstd:
    """Open a zstd stream. The window limits memory to 128 MiB, which is what ``zstd --long=27`` needs."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            import zstandard
        except ImportError:
            raise refuse("ARCHIVE_UNSUPPORTED", "", "zstd") from None
        self._error = zstandard.ZstdError
        inflater = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        self._reader = inflater.stream_reader(file, read_across_frames=True, closefd=False)

    def read(self, size: int, /) -> bytes:
        try:
            return self._reader.read(size)
        except self._error:
            raise refuse("ARCHIVE_CORRUPT", "", "zstd") from None


_STREAMS: dict[str, Callable[[BinaryIO], _Readable]] = {"": _Plain, "gz": _Gzip, "zst": _Zstd}
