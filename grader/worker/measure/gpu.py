"""Watches the GPU during measurements: its clocks go into the report, and a round it disturbed does not
count."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from grader.protocol.documents import GpuState
from grader.worker.settings import Settings

# NVML's clock event reasons (nvml.h) that void a round: the hardware is protecting itself.
_REASONS = {
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
_VOIDING = 0x8 | 0x20 | 0x40 | 0x80


@dataclass(slots=True)
class Watch:
    """Inspects the GPU after each round. Does nothing on a machine without one."""

    nvml: Any = None
    handle: Any = None
    ours: frozenset[int] = frozenset()
    clocks_mhz: list[int] = field(default_factory=list)
    temperatures_c: list[int] = field(default_factory=list)
    powers_w: list[float] = field(default_factory=list)
    reasons: int = 0

    @classmethod
    def begin(cls, settings: Settings) -> Watch:
        """Record the GPU's processes once both engines are loaded on a previously idle GPU: all of them are
        ours.
        """
        if settings.device != "cuda":
            return cls()
        import pynvml

        pynvml.nvmlInit()
        handle = first(pynvml)
        return cls(pynvml, handle, frozenset(processes(pynvml, handle)))

    def look(self) -> tuple[str, str] | None:
        """Return why the last round does not count, as (problem code, detail), or None if it counts."""
        if self.nvml is None:
            return None
        nvml, handle = self.nvml, self.handle
        self.clocks_mhz.append(int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)))
        self.temperatures_c.append(
            int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        )
        self.powers_w.append(nvml.nvmlDeviceGetPowerUsage(handle) / 1000)
        now = int(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
        self.reasons |= now
        if foreign := set(processes(nvml, handle)) - self.ours:
            return "SYS_GPU_DIRTY", f"other GPU processes during a round: {len(foreign)}"
        if now & _VOIDING:
            return "SYS_NOISY", ", ".join(named(now & _VOIDING))
        return None

    def end(self) -> GpuState | None:
        """Return what was seen, for the report."""
        if self.nvml is None:
            return None
        nvml, handle = self.nvml, self.handle
        state = GpuState(
            memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            power_limit_w=nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000,
            max_sm_clock_mhz=int(nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)),
            sm_clock_mhz=(min(self.clocks_mhz, default=0), max(self.clocks_mhz, default=0)),
            temperature_c=max(self.temperatures_c, default=0),
            power_w=max(self.powers_w, default=0.0),
            throttling=tuple(named(self.reasons)),
        )
        nvml.nvmlShutdown()
        return state


def named(reasons: int) -> list[str]:
    """Name the reasons set in NVML's bit mask. Idle and application clocks are not throttling."""
    return [name for bit, name in _REASONS.items() if reasons & bit]


def first(nvml: Any) -> Any:
    """Return the GPU that CUDA_VISIBLE_DEVICES names, by index or UUID, or the first one if it names none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    if visible.startswith(("GPU-", "MIG-")):
        return nvml.nvmlDeviceGetHandleByUUID(visible)
    return nvml.nvmlDeviceGetHandleByIndex(int(visible) if visible.isdigit() else 0)


def processes(nvml: Any, handle: Any) -> list[int]:
    """Return the processes that compute on it now."""
    return [int(process.pid) for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)]
