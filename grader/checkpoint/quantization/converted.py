"""Configs of AutoRound and ModelOpt, written as what their tensors are: GPTQ's, AWQ's or ``fp8``'s.

The engine would run them through classes of their own, onto the same kernels. What only ModelOpt stores so
stays ModelOpt's.

Sources: ``INCConfig`` of vLLM 0.32; what AutoRound 0.16 writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from grader.checkpoint.architecture import HEAD, Linears
from grader.checkpoint.finding import display, refuse
from grader.checkpoint.quantization import patterns
from grader.checkpoint.quantization.fields import Fields
from grader.checkpoint.quantization.modelopt import read_modelopt_as_written
from grader.checkpoint.quantization.reading import WHERE
from grader.checkpoint.strictjson import Json

# A tool's own method -> the methods that its checkpoints are read as.
READ_AS: Mapping[str, frozenset[str]] = {
    "auto-round": frozenset({"gptq", "awq"}),
    "modelopt": frozenset({"fp8", "compressed-tensors"}),
}
_AUTOROUND = frozenset({
    "quant_method", "bits", "group_size", "sym", "data_type", "packing_format", "block_name_to_quantize",
    "to_quant_block_names", "extra_config", "backend", "vllm_backend", "act_bits", "autoround_version",
    "act_data_type", "act_dynamic", "act_group_size", "act_sym", "iters", "nsamples", "seqlen", "batch_size",
    "lr", "minmax_lr", "low_gpu_mem_usage", "gradient_accumulate_steps", "enable_quanted_input",
    "enable_minmax_tuning", "enable_norm_bias_tuning", "quant_lm_head", "scale_dtype", "damp_percent",
    "true_sequential", "desc_act", "provider", "super_bits", "super_group_size", "static_kv_dtype", "dataset",
    "amp", "not_use_best_mse", "dynamic_max_gap", "enable_alg_ext", "supported_types",
})  # fmt: skip
_PACKINGS = {"auto_round:auto_gptq": "gptq", "auto_round:auto_awq": "awq"}
_LAYER_KEYS = frozenset({"bits", "group_size", "sym"})
_SPECIAL = frozenset("*+?^$()[]{}|\\")


def converted(config: Json, linears: Linears, unread: list[str]) -> Json:
    """``config`` as one of the methods of :data:`READ_AS`; unchanged if it is no such tool's."""
    if config.get("quant_method") == "auto-round":
        return _autoround(config, linears, unread)
    if config.get("quant_method") == "modelopt":
        return read_modelopt_as_written(config, linears, unread)
    return config


def _autoround(config: Json, linears: Linears, unread: list[str]) -> Json:
    fields = Fields(config, WHERE, _AUTOROUND, unread)
    fields.choice("data_type", {"int"}, "int")
    packing = fields.choice("packing_format", _PACKINGS.keys(), "auto_round:auto_gptq")
    if fields.integer("act_bits", 1, 32, 16) < 16:
        raise refuse("QUANT_UNSUPPORTED", f"{WHERE}.act_bits", config["act_bits"])
    symmetric = fields.boolean("sym", True)
    base: Json = {key: config[key] for key in ("bits", "group_size") if key in config}
    own = _by_layer(fields.table("extra_config"), config, linears, unread)
    head = f"+:{re.escape(HEAD)}$" in own
    if _PACKINGS[packing] == "gptq":
        return base | {
            "quant_method": "gptq",
            "sym": symmetric,
            "desc_act": False,
            "lm_head": head,
            "dynamic": own,
        }
    if differing := [key for key in own if key.startswith("+:")]:
        raise refuse("QUANT_UNSUPPORTED", f"{WHERE}.extra_config", display(differing[0][2:], 60))
    left_out = [
        layer for layer in linears if any(patterns.matches(f"re:{key[2:]}", layer) for key in own)
    ]
    return base | {
        "quant_method": "awq",
        "zero_point": not symmetric,
        "modules_to_not_convert": left_out,
    }


def _by_layer(extra: Json, config: Json, linears: Linears, unread: list[str]) -> Json:
    """``extra_config`` as GPTQModel's rules: whole names before ends of names before expressions."""
    rules: list[tuple[int, str, Json]] = []
    for name, value in extra.items():
        where = f"{WHERE}.extra_config.{display(name, 60)}"
        given = (
            {k: v for k, v in value.items() if k in _LAYER_KEYS}
            if isinstance(value, dict)
            else value
        )
        bits = Fields(given, where, _LAYER_KEYS).integer("bits", 1, 32, config.get("bits") or 16)
        if _SPECIAL & set(name):  # looked for anywhere in a layer's name
            order, pattern = 2, name if name.startswith((".*", "^")) else f".*(?:{name})"
        elif name in linears:
            order, pattern = 0, re.escape(name) + "$"
        else:
            order, pattern = 1, rf".*\.{re.escape(name)}$"
        if fault := patterns.find_fault(f"re:{pattern}"):
            raise refuse("QUANT_PATTERN", where, fault)
        rules.append((order, f"-:{pattern}" if bits >= 16 else f"+:{pattern}", given))
    if sum(order > 0 for order, _, _ in rules) > patterns.MAX_EXPRESSIONS:
        raise refuse("QUANT_PATTERN", f"{WHERE}.extra_config", len(rules))
    rules.sort(key=lambda rule: rule[0])
    return {key: {} if key.startswith("-:") else given for _, key, given in rules}


def asks_for_kv_cache(config: Json) -> bool:
    """Whether the config wants a quantized KV cache, in any of the tools' spellings."""
    nested: Any = config.get("quantization")
    tables = (config, nested) if isinstance(nested, dict) else (config,)
    keys = ("kv_cache_scheme", "kv_cache_quant_algo")
    return any(table.get(key) is not None for table in tables for key in keys)
