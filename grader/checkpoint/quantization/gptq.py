"""``quantization_config`` of GPTQ, with GPTQModel's ``dynamic`` rules for single layers.

GPTQModel applies a rule to the checkpoint's layers; the engine asks about the layers that it fuses, by their
fused names. Where the two would not agree, the config for the engine names the fused layer first.

Sources: ``AutoGPTQConfig`` and ``gptq_utils`` of vLLM 0.32; ``QuantizeConfig`` of GPTQModel 7.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from grader.checkpoint.architecture import HEAD, Linears
from grader.checkpoint.finding import display, refuse
from grader.checkpoint.quantization import patterns
from grader.checkpoint.quantization.fields import Fields
from grader.checkpoint.quantization.fused import EXPERTS, Unit, all_or_none, units
from grader.checkpoint.quantization.reading import WHERE, Reading, layer_names, refuse_padded_head
from grader.checkpoint.quantization.schemes import MARLIN_GROUPS, Scheme
from grader.checkpoint.strictjson import Json

_READ = frozenset({
    "quant_method", "bits", "group_size", "desc_act", "sym", "lm_head", "dynamic",
    "modules_in_block_to_quantize",
})  # fmt: skip
_BOOKKEEPING = frozenset({
    "checkpoint_format", "format", "method", "damp_percent", "damp_auto_increment", "static_groups",
    "true_sequential", "model_name_or_path", "model_file_base_name", "quant_desc", "meta", "pack_dtype",
    "dataset", "tokenizer", "backend", "use_cuda_fp16", "model_seqlen", "block_name_to_quantize",
    "batch_size", "module_name_preceding_first_block", "pad_token_id", "use_exllama", "max_input_length",
    "exllama_config", "cache_block_outputs", "is_marlin_format", "autoround_version",
})  # fmt: skip
_RULE_KEYS = frozenset({"bits", "group_size", "sym", "desc_act"})
_LITERAL = re.compile(r"(?:[\w-]|\\.)+\$")
_MAX_GROUP = 1 << 16


@dataclass(frozen=True, slots=True)
class _Rule:
    """One entry of ``dynamic``; ``change`` is ``None`` where it leaves layers alone."""

    pattern: str
    change: Json | None

    def matches(self, names: Iterable[str]) -> bool:
        return any(patterns.matches(f"re:{self.pattern}", name) for name in names)


def read_gptq(config: Json, linears: Linears, held: Collection[str]) -> Reading:
    """The layers with packed weights, or those that are named, each with what the first matching rule says."""
    unread: list[str] = []
    fields = Fields(config, WHERE, _READ | _BOOKKEEPING, unread)
    base = _settings(fields, {"bits": 4, "group_size": -1, "sym": True, "desc_act": False})
    _scheme(base)  # refused even where no layer uses it
    rules = [_rule(key, value, base, unread) for key, value in fields.table("dynamic").items()]
    if len(rules) > patterns.MAX_PATTERNS or _expressions(rules) > patterns.MAX_EXPRESSIONS:
        raise refuse("QUANT_PATTERN", f"{WHERE}.dynamic", f"{len(rules)}")
    for key in ("checkpoint_format", "format"):
        fields.choice(key, {"gptq", "gptq_v2"}, "gptq")
    fields.choice("method", {"gptq"}, "gptq")
    named = layer_names(config.get("modules_in_block_to_quantize"))
    head = fields.boolean("lm_head", False)

    def chosen(layer: str) -> bool:  # unless layers are named, the engine looks at the tensors
        return any(n in layer for n in named) if named else f"{layer}.qweight" in held

    schemes: dict[str, Scheme] = {}
    written: list[_Rule] = []
    for unit in units(linears):
        if unit.layers == (HEAD,) and not head:
            continue
        packed = all_or_none(unit, [chosen(layer) for layer in unit.layers])
        change = _meant(unit, rules) if packed else None
        if change is not None:
            schemes |= dict.fromkeys(unit.layers, _scheme(base | change))
        # the engine takes experts for quantized unless a rule says otherwise
        if (packed or unit.class_name == EXPERTS) and _first((unit.name,), rules) != change:
            written.append(_Rule(re.escape(unit.name) + "$", change))
    canonical: Json = {"quant_method": "gptq", **base}
    if named:
        canonical["modules_in_block_to_quantize"] = list(named)
    if HEAD in schemes:
        refuse_padded_head(linears)
        canonical["lm_head"] = True
    if rules or written:
        canonical["dynamic"] = {
            f"-:{r.pattern}" if r.change is None else f"+:{r.pattern}": r.change or {}
            for r in (*written, *rules)
        }
    return Reading(schemes, canonical, tuple(unread))


def _settings(fields: Fields, default: Json) -> Json:
    """Bits, group size, symmetry and activation order, each from the file or ``default``."""
    size = fields.integer("group_size", -1, _MAX_GROUP, default["group_size"])
    if size == 0:
        raise refuse("QUANT_RANGE", fields.at("group_size"), 0)
    ordered = fields.boolean("desc_act", default["desc_act"])
    if ordered and size > 0:
        raise refuse("QUANT_ACTORDER", fields.at("desc_act"))
    return {
        "bits": fields.integer("bits", 2, 8, default["bits"]),
        "group_size": size,
        "desc_act": ordered,
        "sym": fields.boolean("sym", default["sym"]),
    }


def _rule(key: str, value: Any, base: Json, unread: list[str]) -> _Rule:
    where = f"{WHERE}.dynamic"
    pattern = key[2:] if key.startswith(("-:", "+:")) else key
    if fault := patterns.find_fault(f"re:{pattern}"):
        raise refuse("QUANT_PATTERN", where, f"{display(key, 60)}: {fault}")
    if key.startswith("-:"):
        return _Rule(pattern, None)
    given = {} if value is None else value
    fields = Fields(given, f"{where}.{key}", _RULE_KEYS, unread)
    settings = _settings(fields, base)
    return _Rule(pattern, {name: settings[name] for name in given if name in _RULE_KEYS})


def _expressions(rules: list[_Rule]) -> int:
    return sum(_LITERAL.fullmatch(rule.pattern) is None for rule in rules)


def _first(names: Iterable[str], rules: list[_Rule]) -> Json | None:
    return next((rule.change for rule in rules if rule.matches(names)), {})


def _meant(unit: Unit, rules: list[_Rule]) -> Json | None:
    """What the rules change for a unit's layers, under any of their names; ``None``: they are left alone."""
    own = unit.layers if len(unit.layers) == len(unit.parts) else unit.parts
    found = [
        _first((layer, part, unit.name), rules) for layer, part in zip(own, unit.parts, strict=True)
    ]
    if any(change != found[0] for change in found):
        raise refuse("QUANT_FUSED", unit.name, f"dynamic: {', '.join(unit.parts)}")
    return found[0]


def _scheme(settings: Json) -> Scheme:
    bits, size = settings["bits"], max(settings["group_size"], 0)
    if bits not in (4, 8) or not settings["sym"]:
        raise refuse("QUANT_UNSUPPORTED", f"{WHERE}.bits", f"{bits}, sym {settings['sym']}")
    if size not in MARLIN_GROUPS:
        raise refuse("QUANT_GPTQ_GROUP", f"{WHERE}.group_size", size)
    return Scheme("gptq", bits, "int", "group" if size else "channel", size)
