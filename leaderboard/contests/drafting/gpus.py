"""The GPUs that a contest can be drafted for."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from grader.checkpoint.strictjson import Json
from grader.contest import Contest, Hardware
from grader.contest.parts import MAX_TENSOR_PARALLEL
from grader.protocol.documents import Pairing
from grader.scoring.pairing import OVERHEAD_BYTES, kv_cache_bytes
from leaderboard.contests.drafting.words import refused

LIST = Path(__file__).with_name("gpus.toml")
ENGINES = 2  # base model and candidate run side by side
SHARE = 0.85  # the share of the GPU's memory for engines; the file's gpu_memory_utilization
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
        """Of one of the GPUs, for the engines."""
        return SHARE * self.gpu.memory_bytes


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


def choose_pairing(contest: Contest, config: Json, asked: Machine) -> Pairing:
    """``side_by_side`` where both engines fit into its memory, ``turns`` where one does.

    Raises:
        Refused: GPU_TOO_SMALL, with those that are large enough, each in the least number.
    """
    if not asked.is_gpu or ENGINES * _needed_bytes(contest, config, asked) <= asked.usable_bytes:
        return "side_by_side"
    needed = _needed_bytes(contest, config, asked)
    if needed <= asked.usable_bytes:
        return "turns"
    enough = []
    for key, gpu in _known().items():
        machines = (Machine(gpu, count) for count in COUNTS if gpu.compute_capability)
        fits = (m.count for m in machines if _needed_bytes(contest, config, m) <= m.usable_bytes)
        if least := next(fits, 0):
            enough.append(key if least == 1 else f"{least}x{key}")
    figures = {"needed": round(needed / 1e9, 1), "has": round(asked.usable_bytes / 1e9, 1)}
    raise refused("GPU_TOO_SMALL", gpu=asked.name, enough=", ".join(enough) or "–", **figures)


def _needed_bytes(contest: Contest, config: Json, machine: Machine) -> int:
    """What one engine needs on one of the GPUs."""
    engine = replace(contest.engine, tensor_parallel=machine.count)
    weights_bytes = contest.base_model.safetensors_bytes // machine.count
    return weights_bytes + kv_cache_bytes(replace(contest, engine=engine), config) + OVERHEAD_BYTES


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
