"""The process next to a Celery worker: it is started again, ended in order, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from grader import companion
from grader.companion import Companion

ROOT = Path(__file__).parents[2]
CHILD = """
import os, sys, time
from pathlib import Path
from grader import companion
companion.end_with(int(sys.argv[sys.argv.index(companion.PARENT) + 1]))
with Path({file!r}).open("a") as file:
    print(os.getpid(), file=file)
time.sleep(600)
"""


def wait_until(condition, patience_s=60.0):
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A module that writes its process id, and the ids so far."""
    (tmp_path / "a_companion.py").write_text(CHILD.format(file=str(tmp_path / "pids")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))

    def pids():
        file = tmp_path / "pids"
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    return pids


def test_one_that_dies_is_started_again(started, monkeypatch):
    monkeypatch.setattr(companion, "RESTART_S", 0.01)
    one = Companion("a_companion")
    one.start()
    try:
        wait_until(lambda: len(started()) == 1)
        os.kill(started()[0], signal.SIGKILL)
        wait_until(lambda: len(started()) == 2)
    finally:
        one.stop()
    assert not any(psutil.pid_exists(pid) for pid in started())


def test_terminated_it_is_gone_at_once(started):
    one = Companion("a_companion")
    one.start()
    wait_until(lambda: started() != [])
    one.terminate()
    assert not psutil.pid_exists(started()[0])


def test_kill_9_of_its_parent_ends_it(started):
    parent = """
        import time
        from grader.companion import Companion
        Companion("a_companion").start()
        time.sleep(600)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(parent)])
    wait_until(lambda: started() != [])
    process.kill()
    process.wait()
    wait_until(lambda: not psutil.pid_exists(started()[0]))


def test_one_whose_parent_died_before_it_started_ends():
    code = "from grader.companion import end_with; end_with(1 << 30)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"is gone" in done.stderr
