"""The GPU's state in the report, and rounds it voided, with a fake NVML.
#DROPPED
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from grader.worker.engine.launch import launch
from grader.worker.engine.server import Model
from grader.worker.faults import Cancellation, Failed
from grader.worker.measure import gpu, load_generator, speed, system
from grader.worker.settings import Settings
from tests.grader.worker.conftest import make_contest


class Nvml:
    """GPUs in one state. ``reasons`` and ``pids`` are consumed one per query; the last value stays.

    ``foreign``: GPU → other processes that compute on it.
    """

    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0

    def __init__(self, reasons=(0,), pids=((11, 12),), count=1, foreign=None):
        self.reasons, self.pids = list(reasons), list(pids)
        self.count, self.foreign = count, foreign or {}
        self.closed = False

    def nvmlInit(self): ...

    def nvmlShutdown(self):
        self.closed = True

    def nvmlDeviceGetCount(self):
        return self.count

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetHandleByUUID(self, name):
        return name

    def nvmlDeviceGetName(self, handle):
        return f"NVIDIA GPU {handle}"

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        return (9, 0) if handle == 0 else (8, 9)

    def nvmlDeviceGetClockInfo(self, _handle, _kind):
        return 1500 + 10 * len(self.reasons)

    def nvmlDeviceGetMaxClockInfo(self, _handle, _kind):
        return 2040

    def nvmlDeviceGetTemperature(self, _handle, _sensor):
        return 61

    def nvmlDeviceGetPowerUsage(self, _handle):
        return 71_500

    def nvmlDeviceGetEnforcedPowerLimit(self, _handle):
        return 72_000

    def nvmlDeviceGetMemoryInfo(self, _handle):
        return SimpleNamespace(total=24 * 1024**3)

    def nvmlDeviceGetCurrentClocksEventReasons(self, _handle):
        return self.reasons.pop(0) if len(self.reasons) > 1 else self.reasons[0]

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        now = self.pids.pop(0) if len(self.pids) > 1 else self.pids[0]
        return [SimpleNamespace(pid=pid) for pid in (*now, *self.foreign.get(handle, ()))]


@pytest.fixture
def watch(monkeypatch):
    def begin(**facts):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setitem(sys.modules, "pynvml", Nvml(**facts))
        return gpu.Watch.begin(Settings(device="cuda"), facts.get("count", 1))

    return begin


def test_a_machine_without_a_gpu_has_nothing_to_see():
    seen = gpu.Watch.begin(Settings(device="cpu"))
    assert seen.look() is None
    assert seen.end() is None


def test_a_quiet_gpu_goes_into_the_report(watch):
    seen = watch(reasons=(0x1, 0x4, 0x4))
    assert [seen.look() for _ in range(3)] == [None] * 3
    state = seen.end()
    assert state.sm_clock_mhz == (1510, 1530)
    assert (state.temperature_c, state.power_w, state.power_limit_w) == (61, 71.5, 72.0)
    assert state.throttling == ("software power cap",)
    assert seen.nvml.closed


@pytest.mark.parametrize("reason", [0x8, 0x20, 0x40, 0x80])
def test_hardware_that_protects_itself_voids_the_round(watch, reason):
    code, detail = watch(reasons=(reason,)).look()
    assert code == "SYS_NOISY"
    assert "slowdown" in detail or "brake" in detail


def test_somebody_else_on_the_gpu_voids_the_round(watch):
    seen = watch(pids=((11, 12), (11, 12, 99)))
    assert seen.look() == ("SYS_GPU_DIRTY", "other GPU processes during a round: 1")


def test_every_gpu_of_the_engines_is_watched_and_no_other(watch):
    seen = watch(count=3)
    seen.nvml.foreign = {3: (99,)}
    assert seen.look() is None
    seen.nvml.foreign = {2: (99,)}
    assert seen.look() == ("SYS_GPU_DIRTY", "other GPU processes during a round: 1")
    state = seen.end()
    assert (state.count, state.memory_bytes) == (3, 3 * 24 * 1024**3)


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, (0, 1, 2, 3)),
        ("", (0, 1, 2, 3)),
        ("2,0", (2, 0)),
        ("GPU-4e1c, MIG-77", ("GPU-4e1c", "MIG-77")),
    ],
)
def test_a_worker_owns_the_gpus_that_are_named_or_all(monkeypatch, visible, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu.owned(Nvml(count=4)) == expected


@pytest.fixture
def machine(monkeypatch):
    def make(**facts):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setitem(sys.modules, "pynvml", Nvml(**facts))
        return Settings(device="cuda")

    return make


def test_a_worker_says_how_many_gpus_it_has_and_the_least_of_them(machine):
    found = system.capabilities(machine(count=2))
    assert (found.name, found.gpu_count, found.compute_capability) == ("NVIDIA GPU 0", 2, 8.9)
    assert system.capabilities(Settings(device="cpu")).gpu_count == 0


def test_too_few_gpus_are_told_before_an_engine_starts(machine):
    with pytest.raises(Failed) as info:
        system.require_free_gpus(machine(count=2), 4, wait_s=0.0)
    (problem,) = info.value.problems
    assert (problem.code, problem.detail) == ("SYS_GPU_COUNT", "2 of 4")
    with pytest.raises(Failed):
        system.require_free_gpus(Settings(device="cpu"), 2)


def test_a_foreign_process_on_any_gpu_in_use_is_found_before_the_start(machine):
    settings = machine(count=4, pids=((),), foreign={1: (99,)})
    system.require_free_gpus(settings, 1, wait_s=0.0)
    with pytest.raises(Failed) as info:
        system.require_free_gpus(settings, 2, wait_s=0.0)
    assert info.value.problems[0].code == "SYS_GPU_DIRTY"


@pytest.fixture
def measured(scratch, worker):
    def run(watch):
        contest = make_contest(min_rounds=4, max_rounds=4, max_half_width=9.0)
        object.__setattr__(contest.speed, "shapes", contest.speed.shapes[:1])
        models = tuple(Model(role, contest.base_folder, 1) for role in ("base", "candidate"))
        with launch(
            models, contest, worker(), scratch / "run", "process", Cancellation()
        ) as engines:
            return speed.measure(*engines, lambda _: None, watch)

    return run


def test_a_spoilt_round_is_run_again_and_named(watch, measured):
    (result,) = measured(watch(reasons=(0, 0x40, 0)))
    assert len(result.rounds) == 4
    assert result.void == ("hardware thermal slowdown",)


def test_a_gpu_that_keeps_throttling_is_our_fault(watch, measured):
    with pytest.raises(Failed) as info:
        measured(watch(reasons=(0x40,)))
    assert info.value.problems[0].code == "SYS_NOISY"
    assert info.value.problems[0].detail == "hardware thermal slowdown"


def test_void_errors_name_their_problem():
    assert load_generator.VoidError("x").code == "SYS_RESULT_INVALID"
