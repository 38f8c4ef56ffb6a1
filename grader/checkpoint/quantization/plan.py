"""Turns ``quantization_config`` into one scheme per layer, as the engine will see it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from grader.checkpoint.architecture import HEAD, Linears
from grader.checkpoint.finding import problem, refuse
from grader.checkpoint.quantization import patterns
from grader.checkpoint.quantization.compressed_tensors import Group, read_groups
from grader.checkpoint.quantization.fused import (
    EXPERTS,
    Unit,
    all_or_none,
    is_fused,
    stacked_units,
    units,
)
from grader.checkpoint.quantization.gptq_awq_fp8 import (
    DEFAULTS,
    READ,
    WHERE,
    read_awq,
    read_fp8,
    read_gptq,
)
from grader.checkpoint.quantization.schemes import Scheme
from grader.checkpoint.strictjson import Json
from grader.contest import CheckpointRules
from grader.problems.catalogue import Problem


@dataclass(frozen=True, slots=True)
class Plan:
    """How every layer is quantized.

    Attributes:
        schemes: quantized layer -> scheme; other layers are dense.
        kv_ignored: the config requests a KV-cache scheme, which is dropped.
    """

    schemes: Mapping[str, Scheme]
    kv_ignored: bool = False

    def words(self, dtype: str) -> str:
        """``W4A16 g128``, ``W4A16 g64 + W8A8``; the plain dtype when nothing is quantized."""
        names = dict.fromkeys(scheme.words for scheme in self.schemes.values())
        plain = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
        return " + ".join(names) or plain.get(dtype, dtype)


def read_plan(
    config: Json | None, rules: CheckpointRules, linears: Linears, held: Collection[str]
) -> Plan:
    """Build the plan for a quantization_config (``None``: nothing is quantized).

    Args:
        linears: the model's linear layers with (rows, columns).
        held: tensor names in the files, which show GPTQ's quantized layers.

    Raises:
        Refused: QUANT_*.
    """
    if config is None:
        return Plan({})
    if not isinstance(config, dict):
        raise refuse("QUANT_SYNTAX", WHERE, type(config).__name__)
    method, where = config.get("quant_method"), f"{WHERE}.quant_method"
    if not isinstance(method, str) or method not in rules.quant_methods:
        raise refuse("QUANT_UNSUPPORTED", where, f"{method} ∉ {', '.join(rules.quant_methods)}")
    kv_scheme = config.get("kv_cache_scheme")
    if kv_scheme is not None and rules.kv_cache_scheme == "refuse":
        raise refuse("QUANT_KV_NOT_ALLOWED", f"{WHERE}.kv_cache_scheme")
    # mxfp4 is not supported: the engine only has it for experts and would leave dense layers unquantized
    readers = {
        "compressed-tensors": _read_compressed,
        "gptq": read_gptq,
        "awq": read_awq,
        "fp8": read_fp8,
    }
    if method not in readers:
        raise refuse("QUANT_UNSUPPORTED", where, f"{method} → compressed-tensors")
    schemes = readers[method](config, linears, held)
    for layer, scheme in schemes.items():
        _refuse_misfit(layer, scheme, linears)
    return Plan(schemes, kv_ignored=kv_scheme is not None)


def canonical_quantization(config: Json) -> Json:
    """Return the checked config as the engine reads it: no other keys, no KV-cache scheme, no implicit
    defaults.
    """
    method = config["quant_method"]
    read = READ.get(method, config.keys())
    kept = {k: v for k, v in config.items() if k in read and k != "kv_cache_scheme"}
    absent = {
        names[0]: value
        for names, value in DEFAULTS.get(method, {}).items()
        if not any(name in kept for name in names)
    }
    return kept | absent


def find_quantization_notices(plan: Plan) -> list[Problem]:
    return [problem("QUANT_KV_IGNORED", f"{WHERE}.kv_cache_scheme")] if plan.kv_ignored else []


def _read_compressed(config: Json, linears: Linears, held: Collection[str]) -> dict[str, Scheme]:
    groups, ignore = read_groups(config)
    groups = tuple(replace(g, targets=_renamed(g.targets, linears)) for g in groups)
    ignore = _renamed(ignore, linears)

    def ignored(unit: Unit, part: str) -> bool:
        names = (part,) if unit.class_name == EXPERTS else (unit.name, part)
        return any(patterns.matches(p, name) for p in ignore for name in names)

    schemes: dict[str, Scheme] = {}
    for unit in units(linears):
        if not all_or_none(unit, [ignored(unit, part) for part in unit.parts]):
            scheme = _target(unit, groups)
            if scheme is not None:
                schemes |= dict.fromkeys(unit.layers, scheme)
    for unit in stacked_units(linears):
        if not all(ignored(unit, part) for part in unit.parts) and (found := _target(unit, groups)):
            raise refuse("QUANT_STACKED_EXPERTS", unit.name, found.words)
    head = Unit(HEAD, "", (HEAD,), (HEAD,))
    if HEAD not in linears and (group := _by_name(HEAD, groups)) and not ignored(head, HEAD):
        raise refuse("QUANT_LM_HEAD", HEAD, group.scheme.words)
    return schemes


def _renamed(names: tuple[str, ...], linears: Linears) -> tuple[str, ...]:
    """Layers listed by name are looked up under the engine's name; patterns and classes are not."""
    return tuple(
        name if name.startswith("re:") or "." not in name else linears.engine.name(name)
        for name in names
    )


def _target(unit: Unit, groups: tuple[Group, ...]) -> Scheme | None:
    """The engine's lookup order: the unit's own name, the names of its parts, its class."""
    if unit.class_name != EXPERTS and (own := _by_name(unit.name, groups)):
        return own.scheme
    by_part = [_by_name(part, groups) for part in unit.parts]
    if all_or_none(unit, [group is not None for group in by_part]):
        schemes = {group.scheme for group in by_part if group}
        if len(schemes) > 1:
            raise refuse("QUANT_FUSED", unit.name, " ≠ ".join(sorted(s.words for s in schemes)))
        return schemes.pop()
    for group in groups:
        for target in group.targets:
            if patterns.matches_class(target, unit.class_name):
                return group.scheme
            if target == "Linear" and unit.class_name == EXPERTS:
                return group.scheme
    return None


def _by_name(layer: str, groups: tuple[Group, ...]) -> Group | None:
    return next((g for g in groups if any(patterns.matches(t, layer) for t in g.targets)), None)


def _refuse_misfit(layer: str, scheme: Scheme, linears: Linears) -> None:
    """Find widths that the engine cannot divide into the scheme's groups."""
    rows, columns = linears[layer]
    step = {"mx": 32, "nvfp4": 16}.get(scheme.layout, scheme.group_size or 1)
    if columns % step:
        raise refuse("QUANT_GROUP_SIZE", layer, f"{columns} % {step} = {columns % step}")
    if scheme.layout in ("gptq", "awq") and (columns * scheme.bits % 32 or rows * scheme.bits % 32):
        raise refuse("QUANT_GROUP_SIZE", layer, f"{rows} × {columns}")
    block = scheme.block[0]
    if block and is_fused(layer, linears) and rows % block:
        raise refuse("QUANT_GROUP_SIZE", layer, f"{rows} % {block} = {rows % block}")
