"""The worker's own timer: rounds in child processes, woken by the doorbell, ended by SIGTERM."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from grader.worker import doorbell
from tests.grader.worker.conftest import wait_until

ROOT = Path(__file__).parents[3]
# Each round appends a line to a file; ``wait`` keeps it busy until a file appears.
LOOP = """
import os, sys, time
from pathlib import Path
from grader.worker import polling
from grader.worker.measure import system
from grader.worker.settings import Settings
folder = Path(sys.argv[1])
polling.POLL_EVERY_S = float(sys.argv[2])

def round_(settings, stop):
    with (folder / "rounds").open("a") as file:
        print(os.getpid(), system.BOOT, file=file)
    while (folder / "busy").exists():
        time.sleep(0.02)
    with (folder / "ended").open("a") as file:
        print(stop(), file=file)
    if (folder / "broken").exists():
        raise RuntimeError("broken")

polling.poll(Settings(scratch=folder / "s"), round_)
"""


def lines(file):
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def loop(tmp_path):
    started = []

    def start(every_s=3600.0):
        script = [sys.executable, "-c", textwrap.dedent(LOOP), str(tmp_path), str(every_s)]
        started.append(subprocess.Popen(script, cwd=ROOT))
        assert wait_until(lambda: lines(tmp_path / "rounds") != [])
        return started[0]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_it_asks_at_once_and_again_on_its_own_timer(loop, tmp_path):
    loop(every_s=0.01)
    assert wait_until(lambda: len(lines(tmp_path / "rounds")) >= 3)
    processes, boots = zip(*(line.split() for line in lines(tmp_path / "rounds")), strict=True)
    assert len(set(processes)) == len(processes)  # a new one each time: nothing stays in memory
    assert len(set(boots)) == 1  # but the worker started once


def test_a_ring_wakes_it(loop, tmp_path):
    loop()
    assert wait_until(lambda: len(lines(tmp_path / "ended")) == 1)
    assert doorbell.ring(tmp_path / "s") is True
    assert wait_until(lambda: len(lines(tmp_path / "ended")) == 2)


def test_rings_during_a_round_are_one_more_round_and_nobody_has_to_listen(loop, tmp_path):
    assert doorbell.ring(tmp_path / "s") is False  # no worker has run here
    (tmp_path / "busy").touch()
    process = loop()
    for _ in range(70_000):  # more than the pipe holds
        doorbell.ring(tmp_path / "s")
    (tmp_path / "busy").unlink()
    assert wait_until(lambda: len(lines(tmp_path / "ended")) == 2)
    process.kill()
    process.wait()
    assert wait_until(lambda: doorbell.ring(tmp_path / "s") is False)


def test_told_to_end_it_finishes_the_round_and_starts_no_other(loop, tmp_path):
    (tmp_path / "busy").touch()
    process = loop()
    process.send_signal(signal.SIGTERM)
    assert wait_until(lambda: process.poll() is None)
    (tmp_path / "busy").unlink()
    assert process.wait(20) == 0
    assert lines(tmp_path / "ended") == ["True"]  # the round knew that it should claim nothing more


def test_told_to_end_while_it_waits_it_ends(loop, tmp_path):
    process = loop()
    assert wait_until(lambda: len(lines(tmp_path / "ended")) == 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_a_round_that_breaks_does_not_end_the_polling(loop, tmp_path):
    (tmp_path / "broken").touch()
    loop(every_s=0.01)
    assert wait_until(lambda: len(lines(tmp_path / "ended")) >= 2)


def test_kill_9_of_the_loop_ends_the_round(loop, tmp_path):
    (tmp_path / "busy").touch()
    process = loop()
    child = psutil.Process(int(lines(tmp_path / "rounds")[0].split()[0]))
    process.kill()
    process.wait()
    assert wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
