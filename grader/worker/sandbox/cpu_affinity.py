"""Who runs on which core while the speed of engines on a CPU is measured.

Left to the scheduler, the server's event loop and our own client land now and then on the core that computes,
and a round of 0.2 s differs by a fifth from the next. So one core serves and the others compute. On a GPU the
computing is done elsewhere, and nothing is moved.
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
    """One logical CPU of every physical core that this process may use, but for the last, which serves.

    Empty where there is a single core, or no way to choose one (not Linux).
    """
    if not hasattr(os, "sched_getaffinity"):
        return frozenset()
    by_core: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        by_core.setdefault(_siblings(cpu), cpu)
    return frozenset(list(by_core.values())[:-1])


def compute_threads(settings: Settings) -> int:
    """How many threads compute in each engine: as set, or as many as there are cores for it."""
    return settings.cpu_threads or max(1, len(compute_cores()))


@contextlib.contextmanager
def apart(pids: Iterable[int], settings: Settings) -> Iterator[None]:
    """What computes, of the engines' processes, on the computing cores; all else and ourselves on the rest.

    Only this process gets its cores back: the engines end with the grade.
    """
    compute = compute_cores()
    if settings.device != "cpu" or not compute:
        yield
        return
    before = os.sched_getaffinity(0)
    serve = before - compute
    for pid in pids:
        _move(pid, compute if _name(pid) == ENGINE_CORE else serve)
    _move(os.getpid(), serve)
    try:
        yield
    finally:
        _move(os.getpid(), before)


def _move(pid: int, cores: frozenset[int] | set[int]) -> None:
    """Every thread of a process."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), cores)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _siblings(cpu: int) -> str:
    """The logical CPUs that share a core with this one; itself where the kernel does not tell."""
    try:
        return Path(_TOPOLOGY.format(cpu)).read_text().strip()
    except OSError:
        return str(cpu)
