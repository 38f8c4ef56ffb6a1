"""The engine's log: read to the end so that the engine never blocks, kept short, made safe to show."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterable
from typing import IO

KEPT_BYTES = 1024 * 1024
LINE_CHARS = 2000

_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_PREFIX = re.compile(
    r"^(\([^)]{1,60}\)\s*)?((INFO|WARNING|ERROR|DEBUG) [\d-]+ [\d:]+ \[[^]]*\]\s*)?"
)
_ERROR = re.compile(r"^([A-Za-z_.]*(Error|Exception|Exit|Interrupt)\b|Fatal|Killed|cannot start).*")
# True of every failed start, and says nothing about this one.
_UNHELPFUL = re.compile(
    r"Engine core initialization failed|See root cause above|WorkerProc init|EngineDead"
)
_LOADED = re.compile(r"Model loading took ([\d.]+) GiB")
_MEMORY = re.compile(
    r"out of memory|OutOfMemory|No available memory for the cache blocks|Cannot allocate memory"
    r"|std::bad_alloc|Free memory on device .* is less than|not enough memory",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """Without colours, control and bidi characters: fit for a page and a terminal."""
    return _HIDDEN.sub("", _ANSI.sub("", text.replace("\r", "\n")))


class Log:
    """Collects what an engine prints, in a thread, in bounded memory."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._lines: deque[str] = deque()
        self._size = 0
        self._lock = threading.Lock()
        self.loaded_bytes = 0
        self._thread = threading.Thread(target=self._read, name=f"log-{name}", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        rest = b""
        while chunk := self._stream.read1(65536):  # type: ignore[attr-defined]
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LINE_CHARS * 4:  # a line without an end
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._add(line[: LINE_CHARS * 4].decode("utf-8", "replace")[:LINE_CHARS])
        self._add(rest.decode("utf-8", "replace"))
        self._stream.close()

    def _add(self, line: str) -> None:
        loaded = _LOADED.search(line)
        if loaded:
            self.loaded_bytes = round(float(loaded[1]) * 1024**3)
        with self._lock:
            self._lines.append(line)
            self._size += len(line) + 1
            while self._size > KEPT_BYTES:
                self._size -= len(self._lines.popleft()) + 1

    def finish(self, timeout_s: float = 5.0) -> None:
        """Wait until everything printed before the engine's end has been read."""
        self._thread.join(timeout_s)

    def lines(self) -> list[str]:
        with self._lock:
            kept = list(self._lines)
        return [line for raw in kept for line in clean(raw).split("\n")]

    def tail(self, chars: int = 16_000) -> str:
        """The end of the log, whole lines."""
        text = "\n".join(self.lines()).rstrip()
        return text if len(text) <= chars else text[-chars:].partition("\n")[2]


def meaningful_error(lines: Iterable[str]) -> str:
    """The line that tells people why: the last error that is not the engine's wrapping of an earlier one."""
    found, fallback = "", ""
    for line in lines:
        text = _PREFIX.sub("", line).strip()
        if _ERROR.match(text):
            fallback = text
            if not _UNHELPFUL.search(text):
                found = text
    return (found or fallback)[:400]


def out_of_memory(lines: Iterable[str]) -> bool:
    return any(_MEMORY.search(line) for line in lines)


def redact(text: str, secrets: Iterable[tuple[str, str]]) -> str:
    """``text`` with every (secret, replacement) applied, the longest first: folders, host name, token."""
    for secret, replacement in sorted(secrets, key=lambda pair: -len(pair[0])):
        if len(secret) > 3:  # "/" or "" would make the log unreadable
            text = text.replace(secret, replacement)
    return text
