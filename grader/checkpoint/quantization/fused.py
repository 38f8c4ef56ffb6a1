"""The linear layers as the engine runs them: some are fused, and parts of one unit need one scheme."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grader.checkpoint.finding import refuse
from grader.checkpoint.tensors import HEAD, Linears

_FUSED = {
    "qkv_proj": ("QKVParallelLinear", ("q_proj", "k_proj", "v_proj")),
    "gate_up_proj": ("MergedColumnParallelLinear", ("gate_proj", "up_proj")),
}
_PARTS = {part: fused for fused, (_, parts) in _FUSED.items() for part in parts}


@dataclass(frozen=True, slots=True)
class Unit:
    """One layer of the engine.

    Attributes:
        name: the engine's name, ``model.layers.0.self_attn.qkv_proj``.
        class_name: the engine's class; ``Linear`` is part of all but ``lm_head``'s.
        layers: the checkpoint's layers that it holds.
    """

    name: str
    class_name: str
    layers: tuple[str, ...]


def units(linears: Linears) -> Iterator[Unit]:
    """All linear layers, each in exactly one unit."""
    for layer in linears:
        stem, _, leaf = layer.rpartition(".")
        fused = _PARTS.get(leaf)
        if fused is None:
            yield Unit(layer, "ParallelLMHead" if layer == HEAD else "RowParallelLinear", (layer,))
            continue
        class_name, parts = _FUSED[fused]
        if leaf == parts[0]:
            yield Unit(f"{stem}.{fused}", class_name, tuple(f"{stem}.{part}" for part in parts))


def is_fused(layer: str) -> bool:
    return layer.rpartition(".")[2] in _PARTS


def all_or_none(unit: Unit, answers: list[bool]) -> bool:
    """The common answer for a unit's layers.

    Raises:
        Refused: QUANT_FUSED when they differ.
    """
    if any(answers) and not all(answers):
        raise refuse("QUANT_FUSED", unit.name)
    return all(answers)
