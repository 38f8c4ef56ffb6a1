"""The worker's end of the doorbell: a pipe in the scratch folder that wakes the waiting worker."""

from __future__ import annotations

import contextlib
import errno
import os
import select
from pathlib import Path

NAME = "doorbell"


def ring(scratch: Path) -> bool:
    """Wake the worker of this scratch folder. False if none is listening; it asks when it starts."""
    try:
        pipe = os.open(scratch / NAME, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENXIO):
            return False
        raise
    try:
        os.write(pipe, b"!")
    except BlockingIOError:
        pass  # full of rings that nobody has answered yet
    finally:
        os.close(pipe)
    return True


class Doorbell:
    """Use as a context manager."""

    def __init__(self, scratch: Path) -> None:
        self._file = scratch / NAME
        self._pipe = -1

    def __enter__(self) -> Doorbell:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._file, 0o600)
        # For writing, too: otherwise the pipe would be at its end whenever a ringing process closes it.
        self._pipe = os.open(self._file, os.O_RDWR | os.O_NONBLOCK)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._pipe)

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring, at most this long; rings since the last call count. False if there was none."""
        heard, _, _ = select.select([self._pipe], [], [], timeout_s)
        if heard:
            os.read(self._pipe, 1 << 16)
        return bool(heard)

    def ring(self) -> None:
        """End this process's own wait; safe in a signal handler."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._pipe, b"!")
