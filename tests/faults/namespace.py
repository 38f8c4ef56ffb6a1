"""A network namespace with a cable to this machine that can be unplugged. Needs root."""

from __future__ import annotations

import os
import subprocess
from types import TracebackType


class Cable:
    """Use as a context manager. ``host`` is this machine's address at its end of the cable."""

    def __init__(self) -> None:
        number = os.getpid() % 60_000
        self._name = f"pbf{number}"
        self._ends = (f"pbh{number}", f"pbw{number}")
        third, fourth = divmod(4 * (number % 16_000), 256)
        self.host = f"10.231.{third}.{fourth + 1}"
        self._worker = f"10.231.{third}.{fourth + 2}"
        self.prefix = ["ip", "netns", "exec", self._name]

    def __enter__(self) -> Cable:
        here, there = self._ends
        _ip("netns", "add", self._name)
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self._name)
        _ip("addr", "add", f"{self.host}/30", "dev", here)
        _ip("link", "set", here, "up")
        for command in (
            ("addr", "add", f"{self._worker}/30", "dev", there),
            ("link", "set", there, "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", self._name, *command)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _ip("netns", "delete", self._name)  # its end of the cable goes with it

    def unplug(self) -> None:
        _ip("-n", self._name, "link", "set", self._ends[1], "down")

    def plug(self) -> None:
        _ip("-n", self._name, "link", "set", self._ends[1], "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
