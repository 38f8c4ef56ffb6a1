"""A zip whose bytes depend only on its contents, built while it is streamed; its last member lists digests.

Times, owners and modes are fixed. The manifest has the format of ``sha256sum``, so it can be checked without
this project. Different zlibs may compress differently; the manifest's digest is the same.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator

Member = tuple[str, Iterable[bytes]]  # path inside the archive, its content in chunks
MANIFEST = "MANIFEST.sha256"
_BORN = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold


def stream(members: Iterable[Member]) -> Iterator[bytes]:
    """The archive in chunks; memory grows only with the names of its members."""
    pipe, lines = _Pipe(), []
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for name, pieces in members:
            digest = hashlib.sha256()
            with packed.open(_info(name), "w", force_zip64=True) as file:
                for piece in pieces:
                    digest.update(piece)
                    file.write(piece)
                    if pipe.size > 1 << 16:
                        yield pipe.take()
            lines.append(_line(digest.hexdigest(), name))
        packed.writestr(_info(MANIFEST), "".join(lines))
    yield pipe.take()


def manifest(members: Iterable[Member]) -> tuple[str, int, int]:
    """The archive's manifest, with the number of members and their bytes."""
    lines, size = [], 0
    for name, pieces in members:
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
        lines.append(_line(digest.hexdigest(), name))
    return "".join(lines), len(lines), size


def _line(digest: str, name: str) -> str:
    return f"{digest}  {name}\n"


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _BORN)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info


class _Pipe(io.RawIOBase):
    """What ``zipfile`` writes to; it cannot seek, so sizes follow each member's data."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        self.size += len(data)
        return len(data)

    def take(self) -> bytes:
        found = b"".join(self._pieces)
        self._pieces.clear()
        self.size = 0
        return found
