"""``quantization_config`` of GPTQ, AWQ and Hugging Face's ``fp8``: one scheme for all chosen layers.

Sources: ``AutoGPTQConfig``, ``AutoAWQConfig`` and ``Fp8Config`` of vLLM 0.32, and the tools' config classes for
keys they write but the engine does not read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from grader.checkpoint.architecture import HEAD, Linears
from grader.checkpoint.finding import refuse
from grader.checkpoint.quantization import patterns
from grader.checkpoint.quantization.fields import Fields
from grader.checkpoint.quantization.fused import all_or_none, units
from grader.checkpoint.quantization.schemes import MARLIN_GROUPS, Scheme
from grader.checkpoint.strictjson import Json

WHERE = "quantization_config"

# Keys that the engine reads, by method. The rebuilt config has no others.
READ = {
    "gptq": frozenset({
        "quant_method", "bits", "group_size", "desc_act", "sym", "modules_in_block_to_quantize",
    }),
    "awq": frozenset({
        "quant_method", "bits", "w_bit", "group_size", "q_group_size", "zero_point",
        "modules_to_not_convert",
    }),
    "fp8": frozenset({
        "quant_method", "activation_scheme", "weight_block_size", "ignored_layers",
        "modules_to_not_convert",
    }),
}  # fmt: skip
# Defaults the engine lacks: it fails at startup without these keys. Each may have any of these names.
DEFAULTS: dict[str, dict[tuple[str, ...], Any]] = {
    "gptq": {("bits",): 4, ("group_size",): -1, ("desc_act",): False, ("sym",): True},
    "awq": {("w_bit", "bits"): 4, ("q_group_size", "group_size"): 128, ("zero_point",): True},
    "fp8": {("activation_scheme",): "dynamic"},
}
_BOOKKEEPING = {
    "gptq": frozenset({
        "lm_head", "dynamic", "checkpoint_format", "damp_percent", "damp_auto_increment", "static_groups",
        "true_sequential", "model_name_or_path", "model_file_base_name", "quant_desc", "meta", "pack_dtype",
        "dataset", "tokenizer", "backend", "use_cuda_fp16", "model_seqlen", "block_name_to_quantize",
        "batch_size", "module_name_preceding_first_block", "pad_token_id", "use_exllama", "max_input_length",
        "exllama_config",
        "cache_block_outputs", "is_marlin_format", "autoround_version",
    }),
    "awq": frozenset({
        "version", "lm_head", "do_fuse", "fuse_max_seq_len", "modules_to_fuse", "backend", "exllama_config",
    }),
    "fp8": frozenset({"fmt", "dequantize", "kv_cache_scheme"}),
}  # fmt: skip

_MAX_GROUP = 1 << 16


def read_gptq(config: Json, linears: Linears, held: Collection[str]) -> dict[str, Scheme]:
    fields = _fields(config, "gptq")
    bits = fields.integer("bits", 2, 8, 4)
    if bits not in (4, 8) or not fields.boolean("sym", True):
        raise refuse("QUANT_UNSUPPORTED", f"{WHERE}.bits", f"{bits}, sym {config.get('sym')}")
    size = _group_size(fields, "group_size", -1)
    if fields.boolean("desc_act", False) and size:
        raise refuse("QUANT_ACTORDER", f"{WHERE}.desc_act")
    if size not in MARLIN_GROUPS:
        raise refuse("QUANT_GPTQ_GROUP", f"{WHERE}.group_size", size)
    if fields.table("dynamic"):
        raise refuse("QUANT_UNSUPPORTED", f"{WHERE}.dynamic")
    fields.choice("checkpoint_format", {"gptq", "gptq_v2"}, "gptq")
    named = _names(config.get("modules_in_block_to_quantize"))

    def chosen(layer: str) -> bool:  # unless layers are named, the engine decides from the tensors
        return any(n in layer for n in named) if named else f"{layer}.qweight" in held

    scheme = Scheme("gptq", bits, "int", "group" if size else "channel", size)
    return _uniform(linears, scheme, chosen)


def read_awq(config: Json, linears: Linears, held: Collection[str]) -> dict[str, Scheme]:
    fields = _fields(config, "awq")
    bits = fields.integer("w_bit", 1, 8, fields.integer("bits", 1, 8, 4))
    version = fields.text("version").lower() or "gemm"
    if bits != 4 or version != "gemm" or not fields.boolean("zero_point", True):
        raise refuse("QUANT_UNSUPPORTED", WHERE, f"awq, {bits}, {version}")
    size = _group_size(fields, "q_group_size" if "q_group_size" in config else "group_size", 128)
    skipped = _names(config.get("modules_to_not_convert"))
    scheme = Scheme("awq", 4, "int", "group" if size else "channel", size, symmetric=False)
    return _uniform(linears, scheme, lambda layer: not any(name in layer for name in skipped))


def read_fp8(config: Json, linears: Linears, held: Collection[str]) -> dict[str, Scheme]:
    fields = _fields(config, "fp8")
    block = fields.block("weight_block_size")
    static = fields.choice("activation_scheme", {"dynamic", "static"}, "dynamic") == "static"
    if static and block != (0, 0):
        raise refuse("QUANT_UNSUPPORTED", f"{WHERE}.activation_scheme", "static × block")
    skipped = _names(config.get("ignored_layers")) or _names(config.get("modules_to_not_convert"))
    scheme = Scheme(
        "fp8",
        8,
        "float",
        "tensor" if block == (0, 0) else "block",
        block=block,
        inputs="static" if static else "dynamic",
        input_bits=8,
    )
    return _uniform(linears, scheme, lambda layer: layer not in skipped)


def _fields(config: Json, method: str) -> Fields:
    fields = Fields(config, WHERE, READ[method] | _BOOKKEEPING[method])
    if config.get("lm_head"):
        raise refuse("QUANT_LM_HEAD", f"{WHERE}.lm_head")
    return fields


def _group_size(fields: Fields, key: str, default: int) -> int:
    """Inputs per scale; 0 for one scale per channel, which the file writes as -1."""
    size = fields.integer(key, -1, _MAX_GROUP, default)
    if size == 0:
        raise refuse("QUANT_RANGE", f"{WHERE}.{key}", 0)
    return max(size, 0)


def _names(value: Any) -> tuple[str, ...]:
    """Layer names from a list, or from a list of lists as GPTQ writes it."""
    if value is None:
        return ()
    flat: list[Any] = []
    for item in value if isinstance(value, list) else [None]:
        flat += item if isinstance(item, list) else [item]
    fits = all(isinstance(item, str) and len(item) <= patterns.MAX_LENGTH for item in flat)
    if not fits or len(flat) > patterns.MAX_PATTERNS:
        raise refuse("QUANT_SYNTAX", WHERE, "layer names")
    return tuple(flat)


def _uniform(linears: Linears, scheme: Scheme, chosen: Callable[[str], bool]) -> dict[str, Scheme]:
    """One scheme for all selected layers except ``lm_head``, which these methods never quantize."""
    schemes: dict[str, Scheme] = {}
    for unit in units(linears):
        if unit.layers != (HEAD,) and all_or_none(unit, [chosen(layer) for layer in unit.layers]):
            schemes |= dict.fromkeys(unit.layers, scheme)
    return schemes
