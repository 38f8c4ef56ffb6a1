"""The GPUs that a contest can be drafted for."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from grader.contest import Hardware
from grader.schema import encode
from leaderboard.contests.drafting.words import refused

LIST = Path(__file__).with_name("gpus.toml")
ENGINES = 2  # base model and candidate run side by side
SHARE = 0.85  # the share of the GPU's memory for engines; the file's gpu_memory_utilization
ROOM_BYTES = 1_500_000_000  # per engine, besides its weights: buffers and a small KV cache


def hardware(name: str) -> Hardware:
    """``[hardware]`` for a GPU by its short name, case-insensitive.

    Raises:
        Refused: GPU_UNKNOWN.
    """
    known = _known()
    found = {each.lower(): each for each in known}.get(name.lower())
    if found is None:
        raise refused("GPU_UNKNOWN", name=name, known=", ".join(known), near=near(name, known))
    return known[found]


def require_room(asked: Hardware, weights_bytes: int) -> None:
    """Check that both engines fit into its memory.

    Raises:
        Refused: GPU_TOO_SMALL, with those that are large enough.
    """
    needed = ENGINES * (weights_bytes + ROOM_BYTES)
    if not asked.compute_capability or needed <= SHARE * asked.memory_bytes:
        return
    enough = [name for name, gpu in _known().items() if needed <= SHARE * gpu.memory_bytes]
    values = {"needed": round(needed / 1e9, 1), "has": round(SHARE * asked.memory_bytes / 1e9, 1)}
    raise refused("GPU_TOO_SMALL", gpu=asked.name, enough=", ".join(enough) or "–", **values)


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


def values(gpu: Hardware) -> dict[str, object]:
    """As a table of the contest file."""
    return dict(encode(gpu))
