"""The GPUs that a contest can be drafted for."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grader.contest import Hardware
from grader.contest.parts import MAX_TENSOR_PARALLEL
from leaderboard.contests.drafting.words import refused

LIST = Path(__file__).with_name("gpus.toml")
ENGINES = 2  # base model and candidate run side by side
SHARE = 0.85  # the share of the GPU's memory for engines; the file's gpu_memory_utilization
ROOM_BYTES = 1_500_000_000  # per engine and GPU, besides its weights: buffers and a small KV cache
COUNTS = (1, 2, 4, 8)  # GPUs of one machine


@dataclass(frozen=True, slots=True)
class Machine:
    """A GPU and how many of it each engine is spread over; a CPU is one."""

    gpu: Hardware
    count: int = 1

    @property
    def is_gpu(self) -> bool:
        return bool(self.gpu.compute_capability)

    @property
    def name(self) -> str:
        return self.gpu.name if self.count == 1 else f"{self.count} × {self.gpu.name}"

    @property
    def usable_bytes(self) -> float:
        return SHARE * self.count * self.gpu.memory_bytes


def machine(text: str) -> Machine:
    """``L4`` or ``4xH100``, case-insensitive.

    Raises:
        Refused: GPU_UNKNOWN.
    """
    known = _known()
    counted = re.fullmatch(r"(\d{1,2})\s*[xX×]\s*(.+)", text)
    count, name = (int(counted[1]), counted[2]) if counted else (1, text)
    found = {each.lower(): each for each in known}.get(name.lower())
    if found is None or not 1 <= count <= MAX_TENSOR_PARALLEL:
        raise refused("GPU_UNKNOWN", name=text, known=", ".join(known), near=near(name, known))
    gpu = known[found]
    return Machine(gpu, count if gpu.compute_capability else 1)


def require_room(asked: Machine, weights_bytes: int) -> None:
    """Check that both engines fit into its memory.

    Raises:
        Refused: GPU_TOO_SMALL, with those that are large enough, each in the least number.
    """
    if not asked.is_gpu or _fits(asked, weights_bytes):
        return
    enough = []
    for key, gpu in _known().items():
        fitting = (n for n in COUNTS if _fits(Machine(gpu, n), weights_bytes))
        if gpu.compute_capability and (least := next(fitting, 0)):
            enough.append(key if least == 1 else f"{least}x{key}")
    needed = _needed_bytes(asked, weights_bytes)
    figures = {"needed": round(needed / 1e9, 1), "has": round(asked.usable_bytes / 1e9, 1)}
    raise refused("GPU_TOO_SMALL", gpu=asked.name, enough=", ".join(enough) or "–", **figures)


def _fits(machine: Machine, weights_bytes: int) -> bool:
    return _needed_bytes(machine, weights_bytes) <= machine.usable_bytes


def _needed_bytes(machine: Machine, weights_bytes: int) -> int:
    return ENGINES * (weights_bytes + ROOM_BYTES * machine.count)


def near(name: str, known: Iterable[str]) -> str:
    """``Nearest: a, b. ``, or empty if no name is similar."""
    lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    return f"≈ {', '.join(lower[each] for each in found)}. " if found else ""


@cache
def _known() -> dict[str, Hardware]:
    return {
        key: Hardware(
            name=entry["name"],
            compute_capability=entry["compute_capability"],
            memory_bytes=entry["memory_mib"] << 20,
            devices=("cuda",) if entry["compute_capability"] else ("cpu",),
            gpus=tuple(entry["words"]),
            sandbox="namespace" if entry["compute_capability"] else "process",
        )
        for key, entry in tomllib.loads(LIST.read_text("utf-8")).items()
    }
