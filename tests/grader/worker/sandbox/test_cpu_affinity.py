"""On a CPU, one core serves while the others compute, as long as speed is measured."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from grader.worker.sandbox import cpu_affinity
from grader.worker.settings import Settings

SLEEP = "import time; time.sleep(60)"
NAMED = (
    f"import ctypes; ctypes.CDLL(None).prctl(15, b'VLLM::EngineCore', 0, 0, 0); print(); {SLEEP}"
)


@pytest.fixture
def children():
    """An engine core, recognized by its name, and a server."""
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        for code in (NAMED, SLEEP)
    ]
    started[0].stdout.readline()
    yield started
    for child in started:
        child.kill()
        child.communicate()


def cores_of(child):
    return os.sched_getaffinity(child.pid)


def test_the_engine_computes_apart_from_all_that_serves(children, monkeypatch):
    everything = os.sched_getaffinity(0)
    if len(everything) < 2:
        pytest.skip("a single core")
    core, server = children
    compute = cpu_affinity.compute_cores()
    with cpu_affinity.apart([core.pid, server.pid], Settings(device="cpu")):
        assert cores_of(core) == compute
        assert cores_of(server) == os.sched_getaffinity(0) == everything - compute
    assert os.sched_getaffinity(0) == everything


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_on_a_gpu_or_a_single_core_nothing_moves(children, monkeypatch, device):
    if device == "cpu":
        monkeypatch.setattr(cpu_affinity, "compute_cores", frozenset)
    before = [cores_of(child) for child in children]
    with cpu_affinity.apart([child.pid for child in children], Settings(device=device)):
        assert [cores_of(child) for child in children] == before


def test_a_process_that_has_ended_is_no_matter(children):
    children[1].kill()
    children[1].wait()
    with cpu_affinity.apart([children[1].pid], Settings(device="cpu")):
        pass


def test_siblings_of_a_core_count_once(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3, 4, 5})
    monkeypatch.setattr(cpu_affinity, "_siblings", lambda cpu: f"{cpu % 3},{cpu % 3 + 3}")
    assert cpu_affinity.compute_cores.__wrapped__() == {0, 1}


def test_threads_are_as_set_or_one_per_computing_core():
    assert cpu_affinity.compute_threads(Settings(cpu_threads=5)) == 5
    assert cpu_affinity.compute_threads(Settings()) == max(1, len(cpu_affinity.compute_cores()))
