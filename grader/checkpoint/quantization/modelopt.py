"""ModelOpt's ``quantization_config``: FP8, MXFP8, NVFP4; plain, or nested as in ``hf_quant_config.json``.

Plain FP8 is stored as the method ``fp8`` stores it and is read as that, unless the head is quantized too. The
others have names and shapes of their own, and the engine gets them as ModelOpt's. Either way its config names
every layer that is left out, because the engine takes a name for any part of another one.

Sources: ``modelopt.py`` of vLLM 0.32 (``ModelOptQuantConfigBase``, ``resolve`` and the schemes it leads to).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from grader.checkpoint.architecture import HEAD, Linears
from grader.checkpoint.finding import display, refuse
from grader.checkpoint.quantization.fields import Fields
from grader.checkpoint.quantization.fused import EXPERTS, Unit, all_or_none, units
from grader.checkpoint.quantization.reading import WHERE, Reading, layer_names
from grader.checkpoint.quantization.schemes import Scheme
from grader.checkpoint.strictjson import Json

_KEYS = frozenset({
    "quant_method", "quant_algo", "ignore", "exclude_modules", "quantization", "kv_cache_quant_algo",
    "kv_cache_scheme", "producer", "config_groups", "group_size",
})  # fmt: skip
_MAX_STARS = 4
_NVFP4_GROUP = 16
_NVFP4 = Scheme("nvfp4", 4, strategy="group", group_size=_NVFP4_GROUP, modelopt=True)
_FP8 = Scheme("stored", 8, inputs="dynamic", input_bits=8, modelopt=True)
# The engine has no experts in the last two.
_OWN: Mapping[str, Scheme] = {
    "FP8": Scheme("fp8", 8, strategy="tensor", inputs="static", input_bits=8, modelopt=True),
    "NVFP4": Scheme(
        "nvfp4", 4, strategy="group", group_size=_NVFP4_GROUP, inputs="static", input_bits=4, modelopt=True
    ),
    "W4A16_NVFP4": _NVFP4,
    "MXFP8": Scheme(
        "mx", 8, strategy="group", group_size=32, inputs="dynamic", input_bits=8, modelopt=True
    ),
    "FP8_PER_CHANNEL_PER_TOKEN": _FP8,
    "FP8_PB_WO": Scheme(
        "stored", 8, strategy="block", block=(128, 128), inputs="dynamic", input_bits=8, modelopt=True
    ),
}  # fmt: skip
_WITHOUT_EXPERTS = ("FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO")


def read_modelopt_as_written(config: Json, linears: Linears, unread: list[str]) -> Json:
    """Return a config of the method ``fp8``, or one of ModelOpt's that :func:`read_modelopt` reads."""
    fields = Fields(config, WHERE, _KEYS, unread)
    nested = fields.table("quantization")
    own = Fields(nested, f"{WHERE}.quantization", _KEYS, unread) if nested else fields
    algorithm = own.text("quant_algo").upper()
    if algorithm not in _OWN:
        raise refuse("QUANT_UNSUPPORTED", f"{WHERE}.quant_algo", algorithm or "?")
    if algorithm == "NVFP4" and _weights_only(fields.table("config_groups")):
        algorithm = "W4A16_NVFP4"
    if "NVFP4" in algorithm:
        own.integer("group_size", _NVFP4_GROUP, _NVFP4_GROUP, _NVFP4_GROUP)
    excluded = layer_names((nested or config).get("exclude_modules" if nested else "ignore"))
    if bad := [p for p in excluded if p.count("*") > _MAX_STARS or set("[]?") & set(p)]:
        raise refuse("QUANT_PATTERN", f"{WHERE}.ignore", display(bad[0], 60))
    left_out = [
        layer
        for unit in units(linears)
        for layer in unit.layers
        if _is_left_out(unit, layer, excluded)
    ]
    has_dense_head = HEAD not in linears or HEAD in left_out
    others = [layer for layer in left_out if layer != HEAD]
    if algorithm == "FP8" and has_dense_head:
        return {"quant_method": "fp8", "activation_scheme": "static", "ignored_layers": others}
    ignored = [*others, HEAD] if has_dense_head else others
    return {"quant_method": "modelopt", "quant_algo": algorithm, "ignore": ignored}


def read_modelopt(config: Json, linears: Linears, held: Collection[str]) -> Reading:
    """Read what :func:`read_modelopt_as_written` returns."""
    algorithm, ignored = config["quant_algo"], config["ignore"]
    schemes: dict[str, Scheme] = {}
    for unit in units(linears):
        if all_or_none(unit, [layer in ignored for layer in unit.layers]):
            continue
        if (
            unit.layers == (HEAD,) and _OWN[algorithm].strategy == "block"
        ):  # its scales are not loaded
            raise refuse("QUANT_LM_HEAD", HEAD, algorithm)
        if unit.class_name == EXPERTS and algorithm in _WITHOUT_EXPERTS:
            raise refuse("QUANT_UNSUPPORTED", unit.name, algorithm)
        if hit := next((name for name in ignored if _excludes(name, unit.name)), None):
            raise refuse("QUANT_PATTERN", f"{WHERE}.ignore", f"{display(hit, 60)} ⊂ {unit.name}")
        schemes |= dict.fromkeys(unit.layers, _OWN[algorithm])
    return Reading(schemes, config)


def _weights_only(groups: Json) -> bool:
    return bool(groups) and all(
        isinstance(group, dict) and group.get("input_activations") is None
        for group in groups.values()
    )


def _is_left_out(unit: Unit, layer: str, excluded: Collection[str]) -> bool:
    return any(_excludes(pattern, name) for pattern in excluded for name in (layer, unit.name))


def _excludes(pattern: str, layer: str) -> bool:
    return pattern in layer or fnmatchcase(layer, pattern)
