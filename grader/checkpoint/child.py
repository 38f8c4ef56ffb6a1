"""The process that ``limited.check`` starts: one check, its findings as JSON on standard output.

Standard input carries the task; when it is closed after that, the one who asked has died, and so does this.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.checkpoint.archives.unpack import unpack
from grader.checkpoint.check import Findings, examine
from grader.checkpoint.finding import problem
from grader.checkpoint.rebuild import write_canonical
from grader.contest import Contest
from grader.schema import encode


@dataclass(frozen=True, slots=True)
class Task:
    """What to check.

    Attributes:
        source: an archive, or a folder that is already unpacked.
        folder: where an archive is unpacked; removed afterward.
        canonical: where to rebuild an acceptable checkpoint, if anywhere.
        known_sha256: digests of the weights, which are then not read.
        cpu_s: the kernel ends the process after this many seconds of processor time.
    """

    source: Path
    folder: Path
    contest: Contest
    canonical: Path | None
    known_sha256: Mapping[str, str] | None
    cpu_s: int


def limit_cpu(cpu_s: int) -> None:
    """Have the kernel end this process with SIGXCPU after ``cpu_s`` seconds of processor time."""
    import resource  # Windows, where the CLI can only check, has none

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))


def run(task: Task) -> Findings:
    is_archive = not task.source.is_dir()
    unpacked = task.folder if is_archive else task.source
    try:
        if is_archive and (problems := unpack(task.source, unpacked, task.contest.limits)):
            return Findings(tuple(problems))
        known = task.known_sha256
        checked, findings = examine(
            unpacked, task.contest, scan=known is None, known_sha256=known or {}
        )
        if checked is not None and task.canonical is not None:
            write_canonical(checked, task.canonical, task.contest)
        return findings
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        detail = error.strerror or type(error).__name__
        return Findings((problem("SYS_DISK_FULL" if full else "SYS_STORAGE", "", detail),))
    finally:
        if is_archive:
            shutil.rmtree(unpacked, ignore_errors=True)


def end_with_parent() -> None:
    """From now on, end this process when standard input is closed."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    task: Task = pickle.load(sys.stdin.buffer)  # noqa: S301  (from the process that started this one)
    limit_cpu(task.cpu_s)
    end_with_parent()
    json.dump(encode(run(task)), sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # the thread that reads standard input would hold up a regular exit


if __name__ == "__main__":
    main()
