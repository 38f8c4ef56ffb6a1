"""The sandbox an engine runs in: what it may read, write, reach and use, and how all of it is ended.

There are four levels. ``none`` uses a fixed environment and a keeper that leaves no process behind. ``process``
adds resource limits and blocks gaining privileges. ``network``, by ``unshare``, adds a private process table
without a network, makes only the scratch folder writable, and hides the machine's homes, temporary files and
sockets. ``namespace``, by bubblewrap, adds a file system that contains only the listed inputs.

If the worker can create a control group, it limits memory and processes on every level but the first. Memory is
not limited with RLIMIT_AS because vLLM, torch and CUDA reserve far more address space than they use. Without a
control group, the worker watches resident memory (see ``engine``), and the kernel is set to kill the engine
first.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from grader.contest.parts import SANDBOX_LEVELS
from grader.worker.faults import failed
from grader.worker.sandbox import cgroup, keeper, unshare
from grader.worker.sandbox.cgroup import Cgroup
from grader.worker.settings import SandboxChoice, Settings

KILL_TIMEOUT_S = 15.0
TRIAL = (sys.executable, "-I", "-S", "-c", "print('in')")
TRIAL_TIMEOUTS_S = (30.0, 60.0, 120.0)  # an idle machine needs 0.1 s
TRIAL_PAUSE_S = 0.5
_PROGRAMS = {"network": "unshare", "namespace": "bwrap"}
_GIB = 1024**3

_log = logging.getLogger(__name__)
_working: set[str] = set()  # levels that have been tried and work

LIMITS = {
    "RLIMIT_CORE": 0,
    "RLIMIT_FSIZE": 16 * _GIB,  # includes shared memory files
    "RLIMIT_NOFILE": 8192,
    "RLIMIT_NPROC": 8192,  # threads of this user; torch uses hundreds, a fork bomb more
    "RLIMIT_CPU": 6
    * 3600
    * (os.cpu_count() or 1),  # CPU seconds of one process over all its threads
}

# Host files to expose: programs and libraries, nothing that contains a secret.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "passwd", "group", "localtime",
        "nsswitch.conf")  # fmt: skip
_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps")


_BUBBLEWRAP = (
    *("bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"),
    *("--cap-drop", "ALL", "--hostname", "engine"),
    *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind", "/sys", "/sys"),  # noqa: S108
)


_UNSHARE = (
    *("unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--uts"),
    *("--fork", "--kill-child", "--mount-proc"),
)


@dataclass(frozen=True, slots=True)
class Box:
    """The access one engine gets.

    Attributes:
        level: one of ``SANDBOX_LEVELS``.
        scratch: its only writable folder, for its socket, HOME and temporary files.
        inputs: files and folders it may read, besides Python and the system's libraries.
        gpu: whether it may open the GPU's devices.
        memory_bytes: memory limit of its control group; 0: none.
        worker: the worker's folder, hidden with all other engines' and attempts' files; by default, the folder
            above ``scratch``.
    """

    level: str
    scratch: Path
    inputs: tuple[Path, ...] = ()
    gpu: bool = False
    memory_bytes: int = 0
    worker: Path | None = None

    def wrap(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs ``command`` in this sandbox."""
        if self.level == "namespace":
            return [*self._bubblewrap(), "--", *command]
        return [*self._unshare(), *command] if self.level == "network" else list(command)

    def _unshare(self) -> list[str]:
        kept = [sys.base_prefix, sys.prefix, *map(str, self.inputs)]
        spec = {
            "kept": list(dict.fromkeys(kept)),
            "scratch": str(self.scratch),
            "hidden": str(self.worker or self.scratch.parent),
        }
        python = [sys.executable, "-I", "-S", str(Path(unshare.__file__))]
        return [*_UNSHARE, "--", *python, json.dumps(spec)]

    def _bubblewrap(self) -> list[str]:
        arguments = [*_BUBBLEWRAP]
        for path in map(Path, _SYSTEM):
            if path.is_symlink():
                arguments += ["--symlink", os.readlink(path), str(path)]
            elif path.exists():
                arguments += ["--ro-bind", str(path), str(path)]
        # The virtual environment and the Python it was created from, at their own paths.
        python = [Path(sys.base_prefix), Path(sys.prefix)]
        inside = [path for path in self.inputs if not any(map(path.is_relative_to, python))]
        for path in (*(Path("/etc", name) for name in _ETC), *python, *inside):
            arguments += ["--ro-bind-try", str(path), str(path)]
        if self.gpu:
            numbered = [device.name for device in Path("/dev").glob("nvidia[0-9]*")]
            for name in (*_DEVICES, *numbered):
                arguments += ["--dev-bind-try", f"/dev/{name}", f"/dev/{name}"]
        # Last, so that no read-only folder above it can cover it.
        arguments += ["--bind", str(self.scratch), str(self.scratch), "--chdir", str(self.scratch)]
        return arguments


class Child:
    """A running command and its output. ``kill`` is guaranteed to end all of its processes."""

    def __init__(self, process: subprocess.Popen[bytes], group: Cgroup) -> None:
        self._process, self.group = process, group

    @property
    def output(self) -> IO[bytes]:
        """Combined standard output and error. They must be read, or the command blocks on a full pipe."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def keeper_pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return None while it runs. A value above 128 means it was ended by signal ``code - 128``."""
        return self._process.poll()

    def pids(self) -> list[int]:
        return keeper.descendants(self._process.pid)

    def resident_bytes(self) -> int:
        """Return the current memory of all its processes. Shared pages count per process, so this
        overestimates.
        """
        page, total = os.sysconf("SC_PAGE_SIZE"), 0
        for pid in self.pids():
            with contextlib.suppress(OSError):  # the process exited meanwhile
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        return total

    @contextlib.contextmanager
    def frozen(self) -> Iterator[Freezer]:
        """Stop every process until the block ends; inside it, the freezer lets them run for a while."""
        freezer = Freezer(self.pids())
        try:
            freezer.stop()
            yield freezer
        finally:
            freezer.run()
            freezer.close()

    def kill(self, timeout_s: float = KILL_TIMEOUT_S) -> None:
        """End every process and wait until they are gone. May be called twice, and from any thread."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # the keeper's signal
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            for pid in [*self.pids(), self._process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(timeout_s)
        self.group.close()


class Freezer:
    """Stops and continues processes. It holds pidfds, so it never signals a process that reused an id."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._fds: list[int] = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                self._fds.append(os.pidfd_open(pid))

    @property
    def works(self) -> bool:
        """Return False where processes cannot be listed (not Linux)."""
        return bool(self._fds)

    def stop(self) -> None:
        self._signal(signal.SIGSTOP)

    def run(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def _signal(self, number: signal.Signals) -> None:
        for fd in self._fds:
            # It has exited, which other code will notice
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, number)


def start(command: Sequence[str], environment: dict[str, str], box: Box) -> Child:
    """Start ``command`` in ``box`` with exactly ``environment``."""
    bare = box.level == "none"
    group = Cgroup() if bare else cgroup.create(box.memory_bytes)
    spec = {
        "limits": {} if bare else LIMITS,
        "cgroups": group.entrances,
        "no_new_privileges": box.level == "process",  # the other levels do this inside the sandbox
    }
    kept = [sys.executable, "-I", "-S", str(Path(keeper.__file__)), json.dumps(spec)]
    process = subprocess.Popen(
        [*kept, *box.wrap(command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=box.scratch,
        start_new_session=True,  # the worker handles a Ctrl-C in the terminal
    )
    return Child(process, group)


def detect(choice: SandboxChoice = "auto") -> str:
    """Return the level that works on this machine: ``choice`` itself unless it is ``auto``.

    Logs each level that ``auto`` skips and why, so that a weaker sandbox does not go unnoticed.

    Raises:
        Failed: SYS_SANDBOX if the requested level does not work here.
    """
    if choice != "auto":
        if reason := why_not(choice):
            raise failed("SYS_SANDBOX", detail=f"{choice} does not work on this machine: {reason}")
        return choice
    passed_over = []
    for level in reversed(SANDBOX_LEVELS):
        if not (reason := why_not(level)):
            break
        passed_over.append(f"{level} ({reason})")
    if passed_over:
        _say_once(f"engines run at sandbox level {level}: no {', no '.join(passed_over)}")
    return level


@functools.cache
def _say_once(message: str) -> None:
    """Log it once rather than at every claim."""
    _log.error(message)


def require(settings: Settings, least: str) -> str:
    """Return the worker's level if it is at least what the contest requires.

    Raises:
        Failed: SYS_SANDBOX.
    """
    level = detect(settings.sandbox)
    if SANDBOX_LEVELS.index(level) < SANDBOX_LEVELS.index(least):
        raise failed(
            "SYS_SANDBOX", detail=f"the contest requires {least}, this worker offers {level}"
        )
    return level


def why_not(level: str) -> str:
    """Return why a level does not work on this machine; empty if it does.

    Levels that work or are not installed are remembered. A failed trial is repeated next time, because a brief
    shortage of memory or CPU must not weaken the sandbox until the worker restarts.
    """
    if level == "none" or level in _working:
        return ""
    if sys.platform != "linux":
        return "only on Linux"
    program = _PROGRAMS.get(level)
    if program is not None:
        if shutil.which(program) is None:
            return f"{program} is not installed"
        if reason := _try(level):
            return reason
    _working.add(level)
    return ""


def _try(level: str) -> str:
    """Run a command that uses all of a level, repeating it on a busy machine. Returns why it failed, or
    nothing.
    """
    reason = ""
    for timeout_s in TRIAL_TIMEOUTS_S:
        with tempfile.TemporaryDirectory(prefix="box-") as scratch:
            trial = Box(level, Path(scratch)).wrap(TRIAL)
            try:
                result = subprocess.run(trial, capture_output=True, timeout=timeout_s, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                reason = f"{type(error).__name__} after {timeout_s:g} s"
                continue
        if result.stdout.strip() == b"in":
            return ""
        said = result.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
        reason = f"exit code {result.returncode}: {said}"
        time.sleep(TRIAL_PAUSE_S)
    return reason
