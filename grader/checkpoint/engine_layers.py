"""How the engine runs each architecture's linear layers: what it fuses, renames and leaves dense.

The table next to this file is generated from the pinned vLLM by :mod:`grader.worker.engine.architectures`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("engine_layers.json")


@dataclass(frozen=True, slots=True, eq=False)
class EngineLayers:
    """One architecture, as the engine runs it.

    Attributes:
        fused: an engine layer -> the checkpoint layers it contains, by the last part of their names.
        classes: class of each engine layer, by the last part of its name.
        dense: layers that are never quantized, by the last part of their names.
        renamed: parts of names that the engine changes.
        reads: config keys that tell the engine's layers apart.
        embedding: whether the input embedding can be quantized: ``named``, ``unnamed`` (the engine asks about
            an empty name), or empty if it cannot.
    """

    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    dense: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)
    reads: frozenset[str] = frozenset()
    embedding: str = ""

    def name(self, layer: str) -> str:
        """Return the engine's name for a layer of the checkpoint."""
        for old, new in self.renamed.items():
            layer = layer.replace(old, new)
        return layer


@cache
def engine_layers(architecture: str) -> EngineLayers:
    """Return the table's entry, or one without fused layers if the engine does not serve the architecture."""
    entry = _entries().get(architecture, {})
    return EngineLayers(
        fused={name: tuple(parts) for name, parts in entry.get("fused", {}).items()},
        classes=entry.get("layers", {}),
        dense=frozenset(entry.get("dense", ())),
        renamed=entry.get("renamed", {}),
        reads=frozenset(entry.get("reads", ())),
        embedding=entry.get("embedding", ""),
    )


def find_obstacle(architecture: str) -> str:
    """Return why the engine does not serve an architecture (a missing package or ``?``); empty if it does."""
    entry = _entries().get(architecture)
    return "?" if entry is None else str(entry.get("needs", ""))


def served() -> frozenset[str]:
    """Return all architectures that the engine serves."""
    return frozenset(name for name in _entries() if not find_obstacle(name))


def vllm_version() -> str:
    """Return the vLLM version that the table was generated from."""
    return str(_table()["vllm"])


def _entries() -> dict[str, Any]:
    entries: dict[str, Any] = _table()["architectures"]
    return entries


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text("utf-8"))
    return table
