"""Estimates, before the model is loaded, whether a recipe fits into this machine's memory."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from baseline.compression.plan import Sizes, usual_linears, widths
from baseline.compression.recipe import Gptq, Recipe
from baseline.terminal.errors import system

RUNTIME_BYTES = 700 << 20  # torch, transformers and llmcompressor, before any weights
MEMINFO = Path("/proc/meminfo")
CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)  # fmt: skip


def needed_bytes(
    recipe: Recipe, config: dict[str, Any], weight_bytes: int, linears: Sizes | None = None
) -> int:
    """Estimate the peak memory of ``compress``: the model, one layer's working set, and calibration data.

    GPTQ keeps a float32 Hessian (columns × columns) for each linear layer of one decoder layer. Between two
    decoder layers, the input and output activations of all samples are kept in 16 bits.
    """
    needed = RUNTIME_BYTES + weight_bytes
    if recipe.needs_data:
        tokens = recipe.data.samples * recipe.data.seq_length
        needed += 2 * 2 * tokens * int(config["hidden_size"])
    if isinstance(recipe.quantiser, Gptq):
        all_widths = widths(linears or usual_linears(config))
        first = {n: w for n, w in all_widths.items() if n.startswith("model.layers.0.")}
        needed += sum(4 * width * width for width in first.values())
    return needed


def need_memory(
    recipe: Recipe, config: dict[str, Any], weight_bytes: int, linears: Sizes | None = None
) -> None:
    """Refuse what cannot fit.

    Raises:
        CliError: MEMORY_TOO_SMALL.
    """
    needed, free = needed_bytes(recipe, config, weight_bytes, linears), available_bytes()
    if free is not None and free < needed:
        smaller = (
            " Fewer --samples or a shorter --seq-length need less." if recipe.needs_data else ""
        )
        raise system(
            "MEMORY_TOO_SMALL",
            f"About {needed:,} bytes of memory are needed, {free:,} are available.",
            f"Close other programs or use a machine with more.{smaller}",
        )


def available_bytes() -> int | None:
    """Return the memory available to this process, from the machine or its container; None if unknown."""
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = MEMINFO.read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable"))
        found.append(int(line.split()[1]) * 1024)
    for limit, used in CGROUPS:
        with contextlib.suppress(OSError, ValueError):  # "max": no limit
            found.append(int(limit.read_text()) - int(used.read_text()))
    return max(0, min(found)) if found else None
