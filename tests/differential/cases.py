"""The configs: those from public reports, and generated variants of what the tools write."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

from grader.checkpoint.strictjson import Json
from tests.differential.ours import Case

REPORTS = Path(__file__).with_name("reports.json")
ABSENT = object()
PAIRS = 16  # for each start, changed in two places

Start = Mapping[str, Any]
Axes = Mapping[str, Sequence[Any]]

_TOKEN: Json = {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True}
_STATIC: Json = {"num_bits": 8, "type": "int", "strategy": "tensor", "dynamic": False}
_TOKEN_FLOAT, _STATIC_FLOAT = _TOKEN | {"type": "float"}, _STATIC | {"type": "float"}
_CHANNEL: Json = {"strategy": "channel"}
_GROUP: Json = {"strategy": "group", "group_size": 64}
_LAYER = "model.layers.0."


def cases() -> list[Case]:
    return [*reports(), *neighbours()]


def reports() -> Iterator[Case]:
    """Configs from public reports in ``reports.json``, each with its source."""
    for entry in json.loads(REPORTS.read_text("utf-8")):
        model = {key: entry[key] for key in ("layers", "untied", "vocab") if key in entry}
        names = {key: tuple(entry[key]) for key in ("dense", "packed") if key in entry}
        yield Case(entry["id"], entry["config"], **names, **model)


def neighbours() -> Iterator[Case]:
    """Tool configs with one value changed, and a sample with two. The set is the same in every run."""
    for name, (start, axes) in _STARTS.items():
        build = _compressed if axes is _COMPRESSED else _flat
        singles = [{key: value} for key, values in axes.items() for value in values]
        pairs = [
            dict(zip(keys, values, strict=True))
            for keys in combinations(axes, 2)
            for values in product(*(axes[key] for key in keys))
        ]
        chosen = random.Random(name).sample(pairs, PAIRS)
        for index, change in enumerate([*singles, *chosen]):
            yield Case(f"{name}-{index}", build({**start, **change}), untied=index % 3 == 0)


_COMPRESSED: Axes = {
    "num_bits": (2, 3, 4, 5, 6, 8),
    "type": ("int", "float"),
    "scales": (
        _CHANNEL, {"strategy": "tensor"},
        *({"strategy": "group", "group_size": size} for size in (16, 32, 64, 128)),
        {"group_size": 64}, {"group_size": -1}, {}, {"strategy": "block", "block_structure": [32, 32]},
    ),
    "symmetric": (True, False),
    "actorder": ("weight", "static", "group", "dynamic", True, False),
    "dynamic": (True, False),
    "inputs": (
        None, _TOKEN, _STATIC, _TOKEN | {"symmetric": False}, _STATIC | {"symmetric": False},
        _TOKEN | {"num_bits": 4}, _TOKEN | {"strategy": "tensor"}, _TOKEN_FLOAT, _STATIC_FLOAT,
        _TOKEN_FLOAT | {"strategy": "tensor"},
    ),
    "format": (
        "pack-quantized", "int-quantized", "float-quantized", "naive-quantized", "dense", "mixed-precision",
    ),
    "targets": (
        ["re:.*_proj$"], ["re:.*(self_attn|mlp).*"], ["RowParallelLinear"], ["re:model.layers.*"],
        ["re:.*qkv_proj$"], ["re:.*"], ["Linear", "lm_head"], ["linear"], ["re:.*k_proj$"],
        [_LAYER + "mlp.down_proj"], ["Attention"],
    ),
    "ignore": (
        [], ["lm_head", "re:.*down_proj$"], ["lm_head", "re:.*q_proj$"], ["re:.*"],
        [_LAYER + "mlp.gate_proj", _LAYER + "mlp.up_proj"], ["Linear"], ["lm_head", "down_proj"],
        [_LAYER + "mlp.gate_proj"], ["re:.*mlp.*"],
    ),
}  # fmt: skip
_W8A8: Start = {
    "num_bits": 8, "type": "int", "scales": _CHANNEL, "inputs": _TOKEN, "format": "int-quantized",
    "targets": ["Linear"], "ignore": ["lm_head"],
}  # fmt: skip
_W4A16: Start = {
    **_W8A8,
    "num_bits": 4,
    "scales": _GROUP,
    "inputs": None,
    "format": "pack-quantized",
}
_FP8_DYNAMIC: Start = {
    **_W8A8, "type": "float", "inputs": _TOKEN_FLOAT, "format": "float-quantized",
}  # fmt: skip

_GPTQ: Axes = {
    "bits": (2, 3, 8, ABSENT, "4"),
    "group_size": (128, 32, 16, 256, -1, 0, ABSENT),
    "desc_act": (True, ABSENT, None),
    "sym": (False, ABSENT),
    "lm_head": (True, False),
    "dynamic": (
        None, {}, {"-:.*mlp.*": {}}, {"-:.*q_proj": {}}, {".*": {"bits": 8}},
        {"+:.*o_proj": {"desc_act": True}}, {r"+:.*\.(q|k|v)_proj": {"group_size": 32}},
        {"+:.*v_proj": {"group_size": 128}}, {"-:.*qkv_proj": {}}, {r"-:.*\.(gate|up)_proj$": {}},
        {_LAYER.replace(".", r"\.") + "mlp.*": {"bits": 8, "damp_percent": 0.1}, "-:.*": {}},
    ),
    "modules_in_block_to_quantize": (
        None, [], [["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]], ["mlp.down_proj"],
        ["self_attn.q_proj"],
    ),
    "checkpoint_format": ("gptq", "gptq_v2", "marlin"),
    "static_groups": (True,),
}  # fmt: skip
_AWQ: Axes = {
    "bits": (8, 3, ABSENT),
    "w_bit": (4, 8),
    "group_size": (128, 32, 16, -1, ABSENT),
    "q_group_size": (64, 128),
    "zero_point": (False, ABSENT),
    "version": (ABSENT, "GEMM", "gemv", "marlin"),
    "lm_head": (True, False),
    "modules_to_not_convert": (
        None, [], ["lm_head"], ["model.layers.1"], ["q_proj"], ["self_attn"], ["model.layers.0.mlp.gate_proj"],
    ),
}  # fmt: skip
_FP8: Axes = {
    "activation_scheme": ("static", ABSENT, "none"),
    "weight_block_size": (None, [32, 32], [128, 128], [32], [64, 48]),
    "ignored_layers": (
        [], ["lm_head"], [_LAYER + "mlp.down_proj"], [_LAYER + "self_attn.q_proj"], ["re:.*mlp.*"],
    ),
    "modules_to_not_convert": (
        ["o_proj"], [_LAYER + "self_attn.o_proj"], [_LAYER + "self_attn.qkv_proj"], ["model.layers.1"],
        ["mlp", "lm_head"], ["gate_proj", "up_proj"], ["q_proj"],
    ),
    "fmt": ("e4m3", "e5m2"),
    "scale_fmt": ("ue8m0",),
    "kv_cache_scheme": (_STATIC_FLOAT,),
}  # fmt: skip
_AUTOROUND: Axes = {
    "bits": (8, 2, ABSENT),
    "group_size": (128, 32, 16, -1),
    "sym": (False, ABSENT),
    "packing_format": ("auto_round:auto_awq", "auto_round:llm_compressor", ABSENT, None),
    "block_name_to_quantize": (None, ["model.layers"]),
    "extra_config": (
        {}, {_LAYER + "mlp.down_proj": {"bits": 16}}, {"mlp.down_proj": {"bits": 16}},
        {".*layers.1.*": {"group_size": 32}}, {"o_proj": {"group_size": 128, "sym": True}},
        {_LAYER + "self_attn.q_proj": {"bits": 16}}, {"lm_head": {"bits": 16}},
        {_LAYER + f"self_attn.{name}_proj": {"bits": 16} for name in "qkv"},
    ),
}  # fmt: skip
_MODELOPT: Axes = {
    "quant_algo": (
        "fp8", "NVFP4", "nvfp4", "W4A16_NVFP4", "MXFP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO",
        "NVFP4_AWQ", ABSENT,
    ),
    "ignore": (
        [], [], [],  # one of three is of an untied model
        ["lm_head", "*o_proj"], ["lm_head", "model.layers.0*"], ["lm_head", "*.mlp.*"],
        ["lm_head", _LAYER + "self_attn.qkv_proj"], ["lm_head", "*q_proj"],
        ["lm_head", *(_LAYER + f"mlp.{name}_proj" for name in ("gate", "up"))],
    ),
    "kv_cache_scheme": (_STATIC_FLOAT,),
    "producer": ({"name": "modelopt", "version": "0.31.0"},),
}  # fmt: skip
_NVFP4: Axes = {
    "group_size": (16, 32),
    "config_groups": (
        {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4}}},
        {"group_0": {"targets": ["Linear"], "input_activations": {"num_bits": 4}}},
    ),
}  # fmt: skip

_STARTS: Mapping[str, tuple[Start, Axes]] = {
    "w8a8": (_W8A8, _COMPRESSED),
    "w4a16": (_W4A16, _COMPRESSED),
    "fp8-dynamic": (_FP8_DYNAMIC, _COMPRESSED),
    "gptq": (
        {"quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": False, "sym": True},
        _GPTQ,
    ),
    "awq": ({"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True}, _AWQ),
    "fp8": ({"quant_method": "fp8", "activation_scheme": "dynamic"}, _FP8),
    "autoround": (
        {
            "quant_method": "auto-round",
            "bits": 4,
            "group_size": 64,
            "sym": True,
            "data_type": "int",
        },
        _AUTOROUND,
    ),
    "modelopt": (
        {"quant_method": "modelopt", "quant_algo": "FP8", "ignore": ["lm_head"]},
        _MODELOPT,
    ),
    "modelopt-fp8-rows": (
        {
            "quant_method": "modelopt",
            "quant_algo": "FP8_PER_CHANNEL_PER_TOKEN",
            "ignore": ["lm_head"],
        },
        _MODELOPT,
    ),
    "modelopt-nvfp4": (
        {"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head"]},
        _MODELOPT | _NVFP4,
    ),
}


def _compressed(picked: Json) -> Json:
    own = ("num_bits", "type", "symmetric", "actorder", "dynamic")
    weights = {key: picked[key] for key in own if key in picked} | picked["scales"]
    return {
        "quant_method": "compressed-tensors",
        "format": picked["format"],
        "config_groups": {
            "group_0": {
                "targets": picked["targets"],
                "weights": weights,
                "input_activations": picked["inputs"],
            }
        },
        "ignore": picked["ignore"],
    }


def _flat(picked: Json) -> Json:
    return {key: value for key, value in picked.items() if value is not ABSENT}
