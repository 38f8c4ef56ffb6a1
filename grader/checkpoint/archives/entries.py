"""What zip and tar share: entries, and the rules for admitting them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from grader.checkpoint.finding import display, refuse
from grader.contest import Limits

CHUNK_BYTES = 1 << 20
MAX_NAME_BYTES = 240

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JUNK_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder in an archive. ``chunks`` yields its data, at most once per listing.

    ``extension_bytes``: the pax records and long names before it, which count against the limits like its data.
    """

    name: str
    size_bytes: int
    is_folder: bool
    chunks: Callable[[], Iterator[bytes]]
    extension_bytes: int = 0


class Reader(Protocol):
    """An archive. ``listable`` means ``entries`` is cheap enough to walk before unpacking."""

    listable: bool

    def entries(self) -> Iterator[Entry]: ...


class Admission:
    """Checks entries one by one and, at the end, how they fit together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self._paths: list[tuple[str, ...]] = []
        self._seen: set[str] = set()
        self.total_bytes = 0
        self.dropped_bytes = 0  # size of skipped junk files

    def admit(self, entry: Entry) -> bool:
        """Return whether the entry is a file to unpack (not a folder and not junk).

        Raises:
            Refused: ARCHIVE_TOO_MANY_FILES, ARCHIVE_PATH, ARCHIVE_DUPLICATE or ARCHIVE_TOO_LARGE.
        """
        self._count += 1
        if self._count > self._limits.max_files:
            raise refuse("ARCHIVE_TOO_MANY_FILES", "", f"> {self._limits.max_files}")
        path = split(entry.name)
        if entry.is_folder or not path or _junk(path):
            self.dropped_bytes += entry.size_bytes + entry.extension_bytes
            return False
        key = "/".join(path).casefold()
        if key in self._seen:
            raise refuse("ARCHIVE_DUPLICATE", entry.name)
        self._seen.add(key)
        self._paths.append(path)
        self.total_bytes += entry.size_bytes + entry.extension_bytes
        return True

    def names(self) -> list[str]:
        """Return final file names in the order of admission, without the optional top directory.

        Raises:
            Refused: LAYOUT_AMBIGUOUS or LAYOUT_SUBFOLDER.
        """
        tops = {path[0] for path in self._paths}
        if len(tops) == 1 and all(len(path) > 1 for path in self._paths):
            paths = [path[1:] for path in self._paths]
        else:
            paths = self._paths
            folders = sorted({path[0] for path in paths if len(path) > 1})
            if folders and ("config.json",) not in paths:
                raise refuse("LAYOUT_AMBIGUOUS", "", ", ".join(f"{f}/" for f in folders[:5]))
        for path in paths:
            if len(path) > 1:
                raise refuse("LAYOUT_SUBFOLDER", "/".join(path))
        return [path[0] for path in paths]


def split(name: str) -> tuple[str, ...]:
    """Split a stored name into its parts in NFC, dropping a leading ``./``.

    Raises:
        Refused: ARCHIVE_PATH for any name that a file system could resolve to another location or name.
    """
    if any(unicodedata.category(c) in _INVISIBLE for c in name):
        raise refuse("ARCHIVE_PATH", name)
    if name.startswith("/") or "\\" in name or ":" in name:
        raise refuse("ARCHIVE_PATH", name)
    parts = unicodedata.normalize("NFC", name.removesuffix("/")).split("/")
    while parts and parts[0] == ".":
        del parts[0]
    if any(part in ("", ".", "..") or part != part.strip() or _long(part) for part in parts):
        raise refuse("ARCHIVE_PATH", name)
    return tuple(parts)


def decode(raw: bytes) -> str:
    """Decode a stored name. Both formats specify UTF-8; anything else is refused rather than guessed."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise refuse("ARCHIVE_PATH", display(raw.decode("latin-1")), "UTF-8") from None


def _long(part: str) -> bool:
    return len(part.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES


def _junk(path: tuple[str, ...]) -> bool:
    """Files that operating systems and tools add on their own. They are never part of a model."""
    folders, name = path[:-1], path[-1]
    hidden = any(f == "__MACOSX" or f.startswith(".") for f in folders)
    return hidden or name in _JUNK_FILES or name.startswith("._")
