"""The minimum speed at which a request has to arrive, headers and body alike.

Without one, a hundred connections that send a byte per second would hold a hundred threads indefinitely.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import Any

GRACE_S = 15.0  # for slow starts: a connection being set up, a phone waking up
LEAST_BYTES_PER_S = 1000
SILENCE_S = 60.0  # a connection may stall this long in the middle of an upload


class PacedSocket:
    """A connected socket whose reads fail once a request has become too slow.

    After ``t`` seconds a request must have brought ``(t - GRACE_S) * LEAST_BYTES_PER_S`` bytes, and it may
    never be silent for longer than ``SILENCE_S``. The failure is a reset connection, which readers expect.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.begin()

    def begin(self) -> None:
        """Restart the count for the next request on this connection."""
        self._begun, self._received_bytes = time.monotonic(), 0

    def recv(self, size: int, *flags: int) -> bytes:
        """Receive up to ``size`` bytes. Raises ``ConnectionResetError`` if the request is too slow."""
        allowed_s = GRACE_S + self._received_bytes / LEAST_BYTES_PER_S
        left_s = min(SILENCE_S, self._begun + allowed_s - time.monotonic())
        usual_s = self._sock.gettimeout()
        try:
            if left_s <= 0:
                raise TimeoutError
            self._sock.settimeout(left_s if usual_s is None else min(left_s, usual_s))
            data = self._sock.recv(size, *flags)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from error
        finally:
            self._sock.settimeout(usual_s)
        self._received_bytes += len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
