"""Child processes of the local stack never outlive their parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from leaderboard.local.processes import Died, Processes
from leaderboard.local.stack import free_port

STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print('up', flush=True);"
    "time.sleep(600)"
)


def wait_for(text, log):
    deadline = time.monotonic() + 20
    while text not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_stop_ends_a_process_that_ignores_sigterm_and_its_children(tmp_path):
    with Processes(tmp_path) as processes:
        child = processes.start("stubborn", [sys.executable, "-c", STUBBORN], {}, patience_s=0.5)
        wait_for("up", child.log)
        family = [psutil.Process(child.process.pid)]
        family += family[0].children(recursive=True)
        assert len(family) == 2
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def test_check_names_the_process_that_died_with_the_end_of_its_log(tmp_path):
    with Processes(tmp_path) as processes:
        child = processes.start("site", [sys.executable, "-c", "raise SystemExit('no port')"], {})
        child.process.wait()
        with pytest.raises(Died, match=r"(?s)site ended with 1.*no port"):
            processes.check()


def test_children_go_when_the_parent_is_killed_outright(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from leaderboard.local.processes import Processes;"
        f"p = Processes(Path({str(tmp_path)!r})); c = p.start('child', ['sleep', '600'], {{}});"
        "print(c.process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                              cwd=Path(__file__).resolve().parents[3])  # fmt: skip
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert alive == []


def test_second_ctrl_c_does_not_end_the_stopping_half_way(tmp_path):
    code = (
        "import signal, sys, time; from pathlib import Path\n"
        "from leaderboard.local.processes import Processes\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"with Processes(Path({str(tmp_path)!r})) as p:\n"
        f"    c = p.start('stubborn', [sys.executable, '-c', {STUBBORN!r}], {{}}, patience_s=2)\n"
        "    print(c.process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, cwd=Path(__file__).resolve().parents[3])  # fmt: skip
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    wait_for("up", tmp_path / "stubborn.log")
    family = [child, *child.children(recursive=True)]
    for _ in range(3):
        parent.send_signal(signal.SIGINT)
        time.sleep(0.3)
    parent.wait(timeout=30)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def test_free_port_is_the_wanted_one_unless_taken():
    wanted = free_port(0)
    assert free_port(wanted) == wanted
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", wanted))
        taken.listen()
        assert free_port(wanted) != wanted
