"""One check in a process of its own, with a limit on its time.

The limit on processor time judges the archive: nothing that a team packs in good faith comes close, on any
machine, however busy. The limit on elapsed time is far longer and judges the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from grader.checkpoint import child
from grader.checkpoint.check import Findings
from grader.checkpoint.finding import problem
from grader.contest import Contest
from grader.schema import decode

# A checkpoint is read at 100 MB of archive a second and more.
CPU_S, CPU_BYTES_PER_S = 60, 5_000_000
ELAPSED = 4  # times the processor time
TICK_S = 0.5
_COMMAND = (sys.executable, "-P", "-c", f"from {child.__name__} import main; main()")
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG")  # and none of the secrets


class CheckCrashedError(RuntimeError):
    """The check ended without findings and without reaching a limit: a mistake in the checker."""


def check(
    source: Path,
    folder: Path,
    contest: Contest,
    *,
    canonical: Path | None = None,
    known_sha256: Mapping[str, str] | None = None,
    keep_going: Callable[[], None] = lambda: None,
) -> Findings:
    """Unpack ``source`` (unless it is a folder) into ``folder``, examine it, and rebuild it into ``canonical``.

    Nothing stays in ``folder``. With ``known_sha256`` the data is not read (see ``find_problems``).
    ``keep_going`` is called about twice a second; what it raises ends the check. A check over its limit of
    processor time ends with ARCHIVE_TIMEOUT, one over its limit of elapsed time with SYS_CHECK_TIMEOUT.

    Raises:
        CheckCrashedError.
    """
    cpu_s = cpu_limit_s(source)
    task = child.Task(source, folder, contest, canonical, known_sha256, cpu_s)
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(
            _COMMAND, stdin=subprocess.PIPE, stdout=answer, env=environment, bufsize=0
        )
        with process:  # closes the pipe
            try:
                with contextlib.suppress(BrokenPipeError):  # it has died; its exit code says how
                    process.stdin.write(pickle.dumps(task))  # type: ignore[union-attr]
                ended = _wait(process, cpu_s * ELAPSED, keep_going)
            finally:
                process.kill()
        if not ended:
            return Findings((problem("SYS_CHECK_TIMEOUT", "", f"> {cpu_s * ELAPSED} s"),))
        if process.returncode == -signal.SIGXCPU:
            return Findings((problem("ARCHIVE_TIMEOUT", "", f"> {cpu_s} s"),))
        if process.returncode:
            raise CheckCrashedError(f"exit code {process.returncode}")
        answer.seek(0)
        return decode(Findings, json.load(answer))


def cpu_limit_s(source: Path) -> int:
    """Seconds of processor time that a check of ``source`` may use."""
    files = source.iterdir() if source.is_dir() else (source,)
    return CPU_S + sum(file.stat().st_size for file in files) // CPU_BYTES_PER_S


def _wait(
    process: subprocess.Popen[bytes], elapsed_s: float, keep_going: Callable[[], None]
) -> bool:
    """Return whether the process ended in time."""
    deadline = time.monotonic() + elapsed_s
    while time.monotonic() < deadline:
        try:
            process.wait(TICK_S)
        except subprocess.TimeoutExpired:
            keep_going()
        else:
            return True
    return False
