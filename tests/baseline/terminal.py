"""Runs a program on a real terminal: a pseudo-terminal of 100 columns and 40 lines."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

from tests.baseline.conftest import ROOT


def in_terminal(arguments: Sequence[object], environment: Mapping[str, str]) -> tuple[str, int]:
    """Return everything the program wrote, including escape sequences, and its exit code."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    child = subprocess.Popen(
        [str(argument) for argument in arguments], cwd=ROOT,
        env={**environment, "TERM": "xterm-256color"}, stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    screen = b""
    while True:
        try:
            block = os.read(controller, 65536)
        except OSError:  # Linux's error when the other end is closed
            break
        if not block:
            break
        screen += block
    os.close(controller)
    return screen.decode("utf-8", "replace"), child.wait(60)
