"""The linear layers as the engine runs them. Some are fused, and all parts of a unit need the same scheme."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from grader.checkpoint.architecture import HEAD, Linears
from grader.checkpoint.finding import refuse

_EXPERT = re.compile(r"(.+\.experts)\.(\d+)\..+")
EXPERTS = "RoutedExperts"


@dataclass(frozen=True, slots=True)
class Unit:
    """One layer in the engine.

    Attributes:
        name: the engine's name, ``model.layers.0.self_attn.qkv_proj``.
        class_name: the engine's class; it contains ``Linear`` except for ``lm_head`` and experts.
        layers: the checkpoint layers it contains.
        parts: the engine names it looks up in the config; for experts, only those of the first expert.
    """

    name: str
    class_name: str
    layers: tuple[str, ...]
    parts: tuple[str, ...]


def units(linears: Linears) -> Iterator[Unit]:
    """Return all linear layers, each in exactly one unit."""
    engine = linears.engine
    held: set[str] = set()
    experts: dict[str, list[str]] = {}
    for layer in linears:
        if layer in held:
            continue
        if expert := _EXPERT.fullmatch(layer):
            experts.setdefault(expert[1], []).append(layer)
            continue
        name, layers = _fused(layer, linears)
        held.update(layers)
        leaf = name.rpartition(".")[2]
        default = "ParallelLMHead" if layer == HEAD else "RowParallelLinear"
        parts = tuple(engine.name(each) for each in layers)
        yield Unit(engine.name(name), engine.classes.get(leaf, default), layers, parts)
    for name, all_layers in experts.items():
        first = [layer for layer in all_layers if layer.startswith(f"{name}.0.")]
        parts = tuple(engine.name(f"{layer}.").removesuffix(".") for layer in first)
        yield Unit(engine.name(name), EXPERTS, tuple(all_layers), parts)


def stacked_units(linears: Linears) -> Iterator[Unit]:
    """Experts whose weights are stored in one tensor each. The engine looks them up as separate experts."""
    for name in linears.stacked:
        engine_name = linears.engine.name(name)
        parts = tuple(f"{engine_name}.0.{part}_proj" for part in ("gate", "up", "down"))
        yield Unit(engine_name, EXPERTS, (), parts)


def is_fused(layer: str, linears: Linears) -> bool:
    return len(_fused(layer, linears)[1]) > 1


def _fused(layer: str, linears: Linears) -> tuple[str, tuple[str, ...]]:
    """Return (the engine layer that contains ``layer``, its layers): the largest one whose parts all exist."""
    stem, dot, leaf = layer.rpartition(".")
    fitting = [
        (f"{stem}{dot}{name}", layers)
        for name, parts in linears.engine.fused.items()
        if leaf in parts and all(f"{stem}{dot}{part}" in linears for part in parts)
        for layers in [tuple(f"{stem}{dot}{part}" for part in parts)]
    ]
    return max(fitting, key=lambda found: len(found[1]), default=(layer, (layer,)))


def all_or_none(unit: Unit, answers: list[bool]) -> bool:
    """Return the common answer for a unit's layers.

    Raises:
        Refused: QUANT_FUSED if they differ.
    """
    if any(answers) and not all(answers):
        raise refuse("QUANT_FUSED", unit.name)
    return all(answers)
