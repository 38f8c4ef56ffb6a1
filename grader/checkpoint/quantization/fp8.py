"""``quantization_config`` of the method ``fp8``, as transformers and DeepSeek write it.

transformers leaves out layers by the beginning or end of their names, the engine by whole names only. So the
config for the engine names every layer that is left out.

Sources: ``Fp8Config`` of vLLM 0.32; ``should_convert_module`` of transformers 5.
"""

from __future__ import annotations

from collections.abc import Collection

from grader.checkpoint.architecture import HEAD, Linears
from grader.checkpoint.finding import refuse
from grader.checkpoint.quantization import patterns
from grader.checkpoint.quantization.fields import Fields
from grader.checkpoint.quantization.fused import Unit, all_or_none, units
from grader.checkpoint.quantization.reading import WHERE, Reading, layer_names
from grader.checkpoint.quantization.schemes import Scheme
from grader.checkpoint.strictjson import Json

_READ = frozenset({
    "quant_method", "activation_scheme", "weight_block_size", "ignored_layers", "modules_to_not_convert",
})  # fmt: skip
_BOOKKEEPING = frozenset({"fmt", "dequantize", "kv_cache_scheme"})
_SCALES = ("weight_scale", "weight_scale_inv")


def read_fp8(config: Json, linears: Linears, held: Collection[str]) -> Reading:
    unread: list[str] = []
    fields = Fields(config, WHERE, _READ | _BOOKKEEPING, unread)
    block = fields.block("weight_block_size")
    activations = fields.choice("activation_scheme", {"dynamic", "static"}, "dynamic")
    if activations == "static" and block != (0, 0):
        raise refuse("QUANT_UNSUPPORTED", f"{WHERE}.activation_scheme", "static × block")
    keys = ("ignored_layers", "modules_to_not_convert")
    named = next((n for key in keys if (n := layer_names(config.get(key)))), ())
    scheme = Scheme(
        "fp8",
        8,
        "float",
        "tensor" if block == (0, 0) else "block",
        block=block,
        inputs="static" if activations == "static" else "dynamic",
        input_bits=8,
    )

    def left_out(unit: Unit, layer: str) -> bool:
        if unit.name in named or layer in named:
            return True
        has_scales = any(f"{layer}.{scale}" in held for scale in _SCALES)
        return not has_scales and any(_names(name, layer) for name in named)

    schemes: dict[str, Scheme] = {}
    dense: list[str] = []
    for unit in units(linears):
        if unit.layers == (HEAD,):  # which the method leaves alone
            continue
        if all_or_none(unit, [left_out(unit, layer) for layer in unit.layers]):
            dense += unit.layers
        else:
            schemes |= dict.fromkeys(unit.layers, scheme)
    canonical: Json = {"quant_method": "fp8", "activation_scheme": activations}
    if block != (0, 0):
        canonical["weight_block_size"] = list(block)
    if dense:
        canonical["ignored_layers"] = dense
    return Reading(schemes, canonical, tuple(unread))


def _names(name: str, layer: str) -> bool:
    """Whether transformers leaves ``layer`` out because of ``name``."""
    if layer.endswith(name) or layer.startswith(name):
        return True
    expression = f"re:{name}"
    return patterns.find_fault(expression) == "" and patterns.matches(expression, layer)
