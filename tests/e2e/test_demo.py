"""The demo is the main job end to end: real database, broker, vLLM, lm-eval and llmcompressor."""

from __future__ import annotations

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
    """``manage.py demo`` as a newcomer runs it: no DATABASE_URL, no REDIS_URL, a fresh home."""
    env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    env |= {"PARETOBOARD_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo", *arguments],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=(home / "stderr").open("wb"),
        text=True,
        start_new_session=True,
    )


def started_under(home):
    """Processes that still carry this home in their environment or command line."""
    found = []
    for process in psutil.process_iter():
        try:
            environment, line = process.environ(), " ".join(process.cmdline())
        except psutil.Error:
            continue
        if environment.get("PARETOBOARD_HOME") == str(home) or str(home) in line:
            found.append(f"{process.pid} {line[:120]}")
    return found


def wait_until_gone(home, patience_s=20):
    deadline = time.monotonic() + patience_s
    while (left := started_under(home)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


@pytest.mark.vllm
@pytest.mark.timeout(DEADLINE_S + 60)
def test_demo_ranks_base_reference_and_team_and_leaves_no_process(tmp_path):
    process = demo(tmp_path, "--once")
    output, _ = process.communicate(timeout=DEADLINE_S)
    said = (tmp_path / "stderr").read_text()
    assert process.returncode == 0, said[-4000:]
    board = json.loads(output.splitlines()[-1])
    assert board["contest"] == "demo"
    entries = {entry["kind"]: entry for entry in board["entries"]}
    assert set(entries) == {"base", "reference", "team"}
    for entry in entries.values():
        assert {term["name"] for term in entry["terms"]} == {"accuracy", "memory", "speed"}
        assert entry["rank"] >= 1
        assert entry["half_width"] >= 0
    base, reference, team = entries["base"], entries["reference"], entries["team"]
    # The base model knows its sums; what it is compared with is itself, so its accuracy term is 1.
    assert base["accuracy"] >= 0.70
    assert {t["name"]: t["value"] for t in base["terms"]}["memory"] == 0
    assert team["safetensors_bytes"] < reference["safetensors_bytes"] < base["safetensors_bytes"]
    # 8 bits keep the accuracy, 4 bits rounded to nearest visibly cost some.
    assert abs(reference["accuracy"] - base["accuracy"]) < 0.05
    assert team["accuracy"] < base["accuracy"]
    assert wait_until_gone(tmp_path) == []


@pytest.mark.vllm
@pytest.mark.timeout(240)
def test_ctrl_c_stops_everything_the_demo_started(tmp_path):
    process = demo(tmp_path)
    log = tmp_path / "log" / "gpu-worker.log"
    deadline = time.monotonic() + 120
    while "attempt 1 of evaluation" not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None, (tmp_path / "stderr").read_text()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert len(started_under(tmp_path)) > 5
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert wait_until_gone(tmp_path) == []
