"""A control group around one engine, if the system allows one: the kernel then limits memory and processes.

Uses version 2 below the worker's own group (``Delegate=yes`` in systemd, or a container with a writable
``/sys/fs/cgroup``), or version 1 in the memory and pids hierarchies. If neither is writable, the worker itself
watches resident memory (see ``engine``), and the keeper ends all processes as on every level.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PIDS = 4096
_REMOVE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The folders of one group, one per hierarchy; empty if the system offers none."""

    folders: tuple[Path, ...] = ()

    @property
    def limits(self) -> tuple[str, ...]:
        """Return what the kernel limits: ``memory``, ``pids``."""
        files = {"memory": ("memory.max", "memory.limit_in_bytes"), "pids": ("pids.max",)}
        return tuple(
            name
            for name, known in files.items()
            if any((folder / file).exists() for folder in self.folders for file in known)
        )

    @property
    def entrances(self) -> tuple[str, ...]:
        """Return the files a process writes 0 to in order to enter the group."""
        return tuple(str(folder / "cgroup.procs") for folder in self.folders)

    def ran_out_of_memory(self) -> bool:
        """Return whether the kernel killed a process of the group because of its memory."""
        for folder in self.folders:
            for file in ("memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError):
                    lines = (folder / file).read_text().splitlines()
                    if any(
                        line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines
                    ):
                        return True
        return False

    def close(self) -> None:
        """Kill what is left in it and remove it. May be called twice."""
        deadline = time.monotonic() + _REMOVE_TIMEOUT_S
        for folder in self.folders:
            while folder.exists() and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    (folder / "cgroup.kill").write_text("1")  # version 2, Linux 5.14
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.02)  # processes killed a moment ago are still there


def create(memory_bytes: int = 0, pids: int = PIDS) -> Cgroup:
    """Create a group with these limits (0: no limit), as far as this system allows."""
    name = f"paretoboard-{uuid.uuid4().hex[:12]}"
    own = dict(_own_groups())
    folders = []
    if "" in own and (parent := _unified(own[""])):
        folders = _make([parent / name])
    if not folders:
        parents = [
            ROOT / kind / own[kind].lstrip("/") for kind in ("memory", "pids") if kind in own
        ]
        folders = _make([parent / name for parent in parents if (parent / "cgroup.procs").exists()])
    group = Cgroup(tuple(folders))
    for folder in folders:
        if memory_bytes:
            _write(folder / "memory.max", memory_bytes)
            _write(folder / "memory.swap.max", 0)
            _write(folder / "memory.limit_in_bytes", memory_bytes)
        if pids:
            _write(folder / "pids.max", pids)
    return group


def _own_groups() -> list[tuple[str, str]]:
    """Return (controller, path) pairs of this process; version 2 has the empty controller."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            found += [(kind, path) for kind in kinds.split(",")]
    return found


def _unified(path: str) -> Path | None:
    """Return the version 2 folder below which groups with controllers can be created, if there is one."""
    own = ROOT / path.lstrip("/")
    if not (ROOT / "cgroup.controllers").exists():
        return None
    # A group with processes cannot delegate controllers, so its parent may have to.
    for folder in (own, own.parent):
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text("+memory +pids")
            return folder
    return None


def _make(folders: list[Path]) -> list[Path]:
    made = []
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.mkdir()
            made.append(folder)
    return [folder for folder in made if os.access(folder / "cgroup.procs", os.W_OK)]


def _write(file: Path, value: int) -> None:
    if file.exists():
        with contextlib.suppress(OSError):
            file.write_text(str(value))
