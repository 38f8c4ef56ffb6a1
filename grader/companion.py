"""A process that runs as long as a Celery worker does, whether or not the worker has reached its broker.

A Celery worker does nothing before it is connected. What has to go on without a broker runs in a companion: the
worker's main process starts it, starts it again if it dies, and ends it; the kernel ends it with the worker.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading

PARENT = "--parent"  # option with the id of the worker's process, appended to the command
RESTART_S = 5.0
_PR_SET_PDEATHSIG = 1

_log = logging.getLogger(__name__)


class Companion:
    """Starts ``python -m COMMAND --parent PID`` and keeps it running."""

    def __init__(self, *command: str) -> None:
        self._command = [sys.executable, "-m", *command]
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        # To the kernel, this thread is the parent whose death ends the process, so it lives as long.
        self._thread = threading.Thread(target=self._keep_running, name="companion", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end, and wait until it has finished its current work."""
        self._end(signal.SIGTERM)

    def terminate(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        with self._lock:
            self._over.set()
            if self._process is not None:
                self._process.send_signal(number)
        if self._thread.is_alive():
            self._thread.join()

    def _keep_running(self) -> None:
        while True:
            with self._lock:
                if self._over.is_set():
                    return
                self._process = subprocess.Popen(
                    [*self._command, PARENT, str(os.getpid())], stdin=subprocess.DEVNULL
                )
            code = self._process.wait()
            if self._over.wait(RESTART_S):
                return
            _log.warning("%s ended with %d; starting it again", " ".join(self._command[2:]), code)


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however that happens."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        sys.exit("the process that started this one is gone")
