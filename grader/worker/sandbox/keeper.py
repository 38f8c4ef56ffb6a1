"""A small process between the worker and an engine, so that an engine never outlives either of them.

vLLM is several processes, and some of them survive the death of their parent. The keeper adopts every orphan
among its descendants (``PR_SET_CHILD_SUBREAPER``), so it can find and kill all of them. It does so when the
engine's first process ends, when the worker closes the pipe, and when the worker dies, even by ``kill -9``.

Started as a script (``python -I keeper.py SPEC COMMAND…``) with the pipe as standard input, hence the
standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
TICK_S = 0.25
LINUX = sys.platform == "linux"


def _prctl(option: int, value: int) -> None:
    if LINUX and ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _become(command: list[str], spec: dict[str, Any], keeper: int) -> None:
    """In the child: drop what an engine must not have, then exec the engine."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:  # the keeper exited before the line above took effect
        os._exit(1)
    for entrance in spec["cgroups"]:
        Path(entrance).write_text("0")
    for name, value in spec["limits"].items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (ceiling, ceiling))
    if LINUX:
        # If memory runs out, the kernel should kill the engine, not the worker or another process.
        Path("/proc/self/oom_score_adj").write_text("1000")
        if spec["no_new_privileges"]:
            _prctl(PR_SET_NO_NEW_PRIVS, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.execvpe(command[0], command, os.environ)  # noqa: S606


def descendants(root: int) -> list[int]:
    """Return process ids below ``root``, from /proc. Processes that exit meanwhile are left out."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc") if LINUX else []:
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError):
                # pid (name) state ppid …: the name may contain spaces and parentheses, so split after the last
                # one
                stat = Path("/proc", entry, "stat").read_text(errors="replace")
                parent = int(stat.rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found, queue = [], [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def _kill_everything(child: int) -> None:
    """Kill until no child is left. Orphans become our children, so none can hide."""
    while True:
        targets = descendants(os.getpid()) if LINUX else [-child]
        for pid in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        select.select([], [], [], 0.02)


def _watch(child: int, worker: int) -> int:
    """Wait until the engine exits (returns its exit code) or the worker closes the pipe or dies (returns 0)."""
    while True:
        readable = select.select([0], [], [], TICK_S)[0]
        if (readable and not os.read(0, 1)) or os.getppid() != worker:
            return 0
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def main() -> None:
    spec, command, worker = json.loads(sys.argv[1]), sys.argv[2:], os.getppid()
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            if not LINUX:
                os.setpgid(0, 0)
            _become(command, spec, keeper)
        except OSError as error:
            print(f"cannot start {command[0]}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(127)
    # From here on, only the engine writes to the log.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    code = _watch(child, worker)
    _kill_everything(child)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
