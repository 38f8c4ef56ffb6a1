"""The engine's log: read to the end so that the engine never blocks, kept short, and made safe to display."""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Iterable
from typing import IO

from grader.worker.engine import config_check

KEPT_BYTES = 1024 * 1024
LINE_CHARS = 2000

_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_PREFIX = re.compile(
    r"^(\([^)]{1,60}\)\s*)?((INFO|WARNING|ERROR|DEBUG) [\d-]+ [\d:]+ \[[^]]*\]\s*)?"
)
_ERROR = re.compile(r"^([A-Za-z_.]*(Error|Exception|Exit|Interrupt)\b|Fatal|Killed|cannot start).*")
# Printed on every failed start, so it says nothing about this one.
_UNHELPFUL = re.compile(
    r"Engine core initialization failed|See root cause above|WorkerProc init|EngineDead"
)
_LOADED = re.compile(rb"Model loading took (\d{1,6}(?:\.\d{1,9})?) GiB")
_MEMORY = re.compile(
    r"out of memory|OutOfMemory|No available memory for the cache blocks|Cannot allocate memory"
    r"|std::bad_alloc|Free memory on device .* is less than|not enough memory",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """Remove colors, control and bidi characters, to make text safe for a page or a terminal."""
    return _HIDDEN.sub("", _ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


class Log:
    """Collects an engine's output in a thread, in bounded memory, and cheaply enough for any volume."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._lock = threading.Lock()
        self.loaded_bytes = 0
        self.start_line = b""
        self._thread = threading.Thread(target=self._read, name=f"log-{name}", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        before = b""
        while chunk := os.read(self._stream.fileno(), 65536):
            if not self.loaded_bytes or not self.start_line:
                before = before[-config_check.LINE_BYTES :] + chunk
                self._look(before)
            with self._lock:
                self._chunks.append(chunk)
                self._size += len(chunk)
                while self._size > KEPT_BYTES:
                    self._size -= len(self._chunks.popleft())
        self._stream.close()

    def _look(self, text: bytes) -> None:
        """Record what the engine prints on the way: the settings it resolved and the memory its weights use."""
        if not self.start_line and (start := config_check.START.search(text)):
            self.start_line = start[0]
        if not self.loaded_bytes and (loaded := _LOADED.search(text)):
            self.loaded_bytes = round(float(loaded[1]) * 1024**3)

    def finish(self, timeout_s: float = 5.0) -> None:
        """Wait until everything printed before the engine's end has been read."""
        self._thread.join(timeout_s)

    def lines(self) -> list[str]:
        with self._lock:
            kept = b"".join(self._chunks)
        lines = clean(kept.decode("utf-8", "replace")).split("\n")
        return [line[:LINE_CHARS] for line in lines]

    def tail(self, chars: int = 16_000) -> str:
        """Return the end of the log in whole lines."""
        text = "\n".join(self.lines()).rstrip()
        return text if len(text) <= chars else text[-chars:].partition("\n")[2]


def meaningful_error(lines: Iterable[str]) -> str:
    """Return the line that explains the failure: the last error that does not just wrap an earlier one."""
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
    """Apply every (secret, replacement) to ``text``, longest first: folders, host name, token."""
    for secret, replacement in sorted(secrets, key=lambda pair: -len(pair[0])):
        if len(secret) > 3:  # replacing "/" or "" would make the log unreadable
            text = text.replace(secret, replacement)
    return text
