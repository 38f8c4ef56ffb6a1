"""The GPU's state in the report, and rounds it spoiled, with NVML played by an object."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from grader.worker.engine.server import Model, launch
from grader.worker.faults import Cancellation, Failed
from grader.worker.measure import gpu, load_generator, speed
from grader.worker.settings import Settings
from tests.grader.worker.conftest import make_contest


class Nvml:
    """One GPU; ``reasons`` and ``pids`` are used up look by look, the last one stays."""

    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0

    def __init__(self, reasons=(0,), pids=((11, 12),)):
        self.reasons, self.pids = list(reasons), list(pids)
        self.closed = False

    def nvmlInit(self): ...

    def nvmlShutdown(self):
        self.closed = True

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

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

    def nvmlDeviceGetComputeRunningProcesses(self, _handle):
        now = self.pids.pop(0) if len(self.pids) > 1 else self.pids[0]
        return [SimpleNamespace(pid=pid) for pid in now]


@pytest.fixture
def watch(monkeypatch):
    def begin(**facts):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setitem(sys.modules, "pynvml", Nvml(**facts))
        return gpu.Watch.begin(Settings(device="cuda"))

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
