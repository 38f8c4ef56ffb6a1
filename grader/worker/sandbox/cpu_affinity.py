"""Assigns threads to cores while the speed of engines on a CPU is measured.

If the scheduler decides, the server's event loop and our client sometimes land on a computing core, and rounds
of 0.2 s differ by a fifth. So one core serves and the others compute. On a GPU the CPU does not compute, and
nothing is moved.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from grader.worker.settings import Settings

ENGINE_CORE = (
    "VLLM::EngineCor"  # the process that holds the weights; the kernel keeps 15 characters
)
_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


@functools.cache
def compute_cores() -> frozenset[int]:
    """Return one logical CPU of every physical core this process may use, except for the last, which serves.

    Empty if there is only one core or no way to choose one (not Linux).
    """
    if not hasattr(os, "sched_getaffinity"):
        return frozenset()
    by_core: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        by_core.setdefault(_siblings(cpu), cpu)
    return frozenset(list(by_core.values())[:-1])


def compute_threads(settings: Settings) -> int:
    """Return the number of compute threads per engine: as set, or one for each available core."""
    return settings.cpu_threads or max(1, len(compute_cores()))


@contextlib.contextmanager
def apart(pids: Iterable[int], settings: Settings) -> Iterator[None]:
    """Pin the engines' compute threads to the computing cores, and everything else, including us, to the rest.

    All get their cores back at the end: the base model's engine may stay for the next grade.
    """
    compute = compute_cores()
    if settings.device != "cpu" or not compute:
        yield
        return
    before = os.sched_getaffinity(0)
    serve = before - compute
    engines = tuple(pids)
    for pid in engines:
        _move(pid, compute if _name(pid) == ENGINE_CORE else serve)
    _move(os.getpid(), serve)
    try:
        yield
    finally:
        for pid in (*engines, os.getpid()):
            _move(pid, before)


def _move(pid: int, cores: frozenset[int] | set[int]) -> None:
    """Return every thread of a process."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just exited
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), cores)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _siblings(cpu: int) -> str:
    """Return the logical CPUs that share this one's core, or only itself if the kernel does not say."""
    try:
        return Path(_TOPOLOGY.format(cpu)).read_text().strip()
    except OSError:
        return str(cpu)
