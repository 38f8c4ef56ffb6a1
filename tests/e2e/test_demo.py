"""The demo runs the whole system end to end: real database, broker, vLLM, lm-eval and llmcompressor."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 1500


def demo(home, *arguments):
    """``manage.py demo`` as a newcomer runs it: no DATABASE_URL, no REDIS_URL, an empty home."""
    env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    env |= {"PARETOBOARD_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo", *arguments],
        cwd=ROOT,
        env=env,
        stdout=(home / "stdout").open("wb"),
        stderr=(home / "stderr").open("wb"),
        start_new_session=True,
    )


class Family:
    """Every process that a demo ever had below it, and the servers with its home in their command lines.

    Celery rewrites its processes' titles and with them their environment, so processes are found by descent.
    """

    def __init__(self, process, home):
        self.process, self.home, self.seen = process, home, {}

    def look(self):
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self.seen[child.pid] = child
        for other in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if str(self.home) in " ".join(other.cmdline()):
                    self.seen[other.pid] = other
        return len(self.seen)

    def left(self, patience_s=20):
        self.look()
        _, alive = psutil.wait_procs(list(self.seen.values()), timeout=patience_s)
        return alive


@pytest.fixture
def start_demo(tmp_path):
    """Start a demo; processes left by a failed test are killed."""
    families = []

    def start(*arguments):
        families.append(Family(demo(tmp_path, *arguments), tmp_path))
        return families[-1]

    yield start
    for family in families:
        for process in family.left(0):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.mark.vllm
@pytest.mark.timeout(DEADLINE_S + 60)
def test_demo_ranks_base_reference_and_team_and_leaves_no_process(tmp_path, start_demo):
    family = start_demo("--once")
    deadline = time.monotonic() + DEADLINE_S
    while family.process.poll() is None and time.monotonic() < deadline:
        family.look()
        time.sleep(2)
    said = (tmp_path / "stderr").read_text()
    assert family.process.returncode == 0, said[-4000:]
    board = json.loads((tmp_path / "stdout").read_text().splitlines()[-1])
    assert board["contest"] == "demo"
    entries = {entry["kind"]: entry for entry in board["entries"]}
    assert set(entries) == {"base", "reference", "team"}
    for entry in entries.values():
        assert {term["name"] for term in entry["terms"]} == {"accuracy", "memory", "speed"}
        assert entry["rank"] >= 1
        assert entry["half_width"] >= 0
    base, reference, team = entries["base"], entries["reference"], entries["team"]
    # The base model knows its sums and is compared with itself, so its accuracy term is 1.
    assert base["accuracy"] >= 0.70
    assert {t["name"]: t["value"] for t in base["terms"]}["memory"] == 0
    assert team["safetensors_bytes"] < reference["safetensors_bytes"] < base["safetensors_bytes"]
    # 8 bits keep the accuracy; 4 bits rounded to nearest clearly lose some.
    assert abs(reference["accuracy"] - base["accuracy"]) < 0.05
    assert team["accuracy"] < base["accuracy"]
    assert len(family.seen) > 10
    assert family.left() == []


@pytest.mark.vllm
@pytest.mark.timeout(240)
def test_ctrl_c_stops_everything_the_demo_started(tmp_path, start_demo):
    family = start_demo()
    log = tmp_path / "log" / "gpu-worker.log"
    deadline = time.monotonic() + 120
    while "attempt=1] grading" not in (log.read_text() if log.exists() else ""):
        assert family.process.poll() is None, (tmp_path / "stderr").read_text()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.3)
    time.sleep(3)  # engines are starting
    assert family.look() > 10
    family.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    family.process.send_signal(signal.SIGINT)  # a second, impatient Ctrl-C
    assert family.process.wait(timeout=60) == 130
    assert family.left() == []
