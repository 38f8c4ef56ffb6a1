"""Watches the GPUs during measurements: clocks go into the report, and a round that one disturbed does not
count."""

from __future__ import annotations

import os
from collections.abc import Iterable
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
    """Inspects every GPU in use after each round. Does nothing on a machine without one."""

    nvml: Any = None
    handles: tuple[Any, ...] = ()
    ours: frozenset[int] = frozenset()
    clocks_mhz: list[int] = field(default_factory=list)
    temperatures_c: list[int] = field(default_factory=list)
    powers_w: list[float] = field(default_factory=list)
    reasons: int = 0

    @classmethod
    def begin(cls, settings: Settings, count: int = 1) -> Watch:
        """Record the processes once both engines are loaded on ``count`` previously idle GPUs: all of them
        are ours.
        """
        if settings.device != "cuda":
            return cls()
        import pynvml

        pynvml.nvmlInit()
        handles = owned(pynvml)[:count]
        return cls(pynvml, handles, frozenset(processes(pynvml, handles)))

    def recognize(self) -> None:
        """Record the processes anew after one of our engines was started, where engines take turns."""
        if self.nvml is not None:
            self.ours = frozenset(processes(self.nvml, self.handles))

    def look(self) -> tuple[str, str] | None:
        """Return why the last round does not count, as (problem code, detail), or None if it counts."""
        if self.nvml is None:
            return None
        nvml, now = self.nvml, 0
        for gpu in self.handles:
            self.clocks_mhz.append(int(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM)))
            sensor = nvml.NVML_TEMPERATURE_GPU
            self.temperatures_c.append(int(nvml.nvmlDeviceGetTemperature(gpu, sensor)))
            self.powers_w.append(nvml.nvmlDeviceGetPowerUsage(gpu) / 1000)
            now |= int(nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu))
        self.reasons |= now
        if foreign := processes(nvml, self.handles) - self.ours:
            return "SYS_GPU_DIRTY", f"other GPU processes during a round: {len(foreign)}"
        if now & _VOIDING:
            return "SYS_NOISY", ", ".join(named(now & _VOIDING))
        return None

    def end(self) -> GpuState | None:
        """Return what was seen, for the report."""
        if self.nvml is None:
            return None
        nvml, gpus = self.nvml, self.handles
        state = GpuState(
            memory_bytes=sum(int(nvml.nvmlDeviceGetMemoryInfo(gpu).total) for gpu in gpus),
            power_limit_w=min(nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) for gpu in gpus) / 1000,
            max_sm_clock_mhz=min(
                int(nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM)) for gpu in gpus
            ),
            sm_clock_mhz=(min(self.clocks_mhz, default=0), max(self.clocks_mhz, default=0)),
            temperature_c=max(self.temperatures_c, default=0),
            power_w=max(self.powers_w, default=0.0),
            throttling=tuple(named(self.reasons)),
            count=len(gpus),
        )
        nvml.nvmlShutdown()
        return state


def named(reasons: int) -> list[str]:
    """Name the reasons set in NVML's bit mask. Idle and application clocks are not throttling."""
    return [name for bit, name in _REASONS.items() if reasons & bit]


def owned(nvml: Any) -> tuple[Any, ...]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names, by index or UUID, or all if it names none.

    An engine uses the first ones of these, as many as the contest's ``tensor_parallel``.
    """
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    visible = [name.strip() for name in names if name.strip()]
    if not visible:
        return tuple(map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount())))
    return tuple(
        nvml.nvmlDeviceGetHandleByIndex(int(name))
        if name.isdigit()
        else nvml.nvmlDeviceGetHandleByUUID(name)
        for name in visible
    )


def processes(nvml: Any, handles: Iterable[Any]) -> set[int]:
    """Return the processes that compute on one of them now."""
    return {
        int(process.pid)
        for handle in handles
        for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    }
