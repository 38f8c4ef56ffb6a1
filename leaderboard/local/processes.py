"""Child processes that never outlive their parent.

Each runs in its own session with its output in a log file. Ctrl-C reaches only the parent, which stops the
children in reverse order; if the parent is killed, the kernel ends them (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
TAIL_LINES = 15


class Died(Exception):
    """A process that should be running has ended; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    patience_s: float

    def tail(self) -> str:
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])


class Processes:
    """The child processes of one stack. Use as a context manager."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.children: list[Child] = []
        self.folders: list[Path] = []
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self, name: str, argv: list[str], env: dict[str, str], patience_s: float = 10.0
    ) -> Child:
        """Start a process; ``patience_s`` is the time between SIGTERM and SIGKILL."""
        log = self.logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads yet when the stack starts
            )
        child = Child(name, process, log, patience_s)
        self.children.append(child)
        return child

    def folder(self, prefix: str) -> Path:
        """A folder with a short path, deleted when the processes stop."""
        self.folders.append(Path(tempfile.mkdtemp(prefix=prefix)))
        return self.folders[-1]

    def check(self) -> None:
        """Raise ``Died`` if any child has ended."""
        for child in self.children:
            code = child.process.poll()
            if code is not None:
                raise Died(f"{child.name} ended with {code}. {child.log}:\n{child.tail()}")

    def stop(self) -> None:
        """Stop all, in reverse order of starting; kill the whole session of any that does not stop in time.

        A second Ctrl-C is ignored meanwhile, so that it does not interrupt the shutdown halfway.
        """
        before = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._stop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self) -> None:
        for child in reversed(self.children):
            if child.process.poll() is None:
                child.process.terminate()
        for child in reversed(self.children):
            deadline = time.monotonic() + child.patience_s
            while child.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            with suppress(ProcessLookupError):  # already gone, with its whole session
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self.children.clear()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
        self.folders.clear()


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
