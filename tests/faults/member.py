"""One process of the rig with all its descendants: started, killed, frozen, searched for by command line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


class Member:
    """A main process in its own session. It can be started again after it has died."""

    def __init__(
        self, name: str, command: Sequence[str], environment: dict[str, str], logs: Path
    ) -> None:
        self.name, self.command, self.environment = name, [*command], environment
        self.prefix: list[str] = []  # ``ip netns exec`` or ``unshare``, if the test wants that
        self.changed: dict[str, str] = {}  # variables, likewise
        self.log = logs / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", *self.command],
                cwd=ROOT,
                env=self.environment | self.changed,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def family(self) -> list[psutil.Process]:
        """The main process and all its descendants."""
        if not self.is_alive:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            main = psutil.Process(self.pid)
            return [main, *main.children(recursive=True)]
        return []

    def find(self, *words: str) -> list[psutil.Process]:
        """Descendants whose command line contains all of ``words``."""
        return [
            one
            for one in self.family()[1:]
            if all(word in " ".join(_command_line(one)) for word in words)
        ]

    def kill(self) -> None:
        """Kill the main process alone; the rest has to notice."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
            assert self.process is not None
            self.process.wait()

    def power_cut(self) -> None:
        """Kill everything at once."""
        send(self.family(), signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def freeze(self) -> None:
        send(self.family(), signal.SIGSTOP)

    def thaw(self) -> None:
        send(self.family(), signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM, as systemd and containers send it for a deployment."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGTERM)

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")


def send(processes: Sequence[psutil.Process], number: int) -> None:
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(number)


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return []
