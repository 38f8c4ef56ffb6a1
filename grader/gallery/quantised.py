"""quantization_config blocks as the tools write them, reduced to what matters."""

from __future__ import annotations

from grader.gallery.tiny import Json


def config_groups(
    form: str = "pack-quantized", targets: list[str] | None = None, **scheme: object
) -> Json:
    """A compressed-tensors config with one group."""
    group = {"targets": targets or ["Linear"], "format": form, **scheme}
    return {
        "config_groups": {"group_0": group},
        "format": form,
        "ignore": ["lm_head"] if targets is None else [],
        "kv_cache_scheme": None,
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "version": "0.19.0",
    }


_TOKEN = {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True, "symmetric": True}
_TOKEN_FP8 = {**_TOKEN, "type": "float"}
INT4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 64, "symmetric": True}
_INT8 = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}
_FLOAT8 = {**_INT8, "type": "float"}
_FLOAT4 = {
    "num_bits": 4,
    "type": "float",
    "strategy": "group",
    "group_size": 32,
    "scale_dtype": "torch.uint8",
}
_STATIC = {"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False}

W8A8 = config_groups("int-quantized", weights=_INT8, input_activations=_TOKEN)
W4A16 = config_groups("pack-quantized", weights=INT4)
W4A16_ASYM = config_groups("pack-quantized", weights={**INT4, "symmetric": False})
W4A16_CHANNEL = config_groups("pack-quantized", weights={**_INT8, "num_bits": 4})
W3A16 = config_groups("pack-quantized", weights={**INT4, "num_bits": 3})
W4A8 = config_groups("pack-quantized", weights=INT4, input_activations=_TOKEN)
W4AFP8 = config_groups("pack-quantized", weights=INT4, input_activations=_TOKEN_FP8)
FP8 = config_groups("float-quantized", weights=_FLOAT8, input_activations=_TOKEN_FP8)
FP8_STATIC = config_groups(
    "float-quantized", weights={**_FLOAT8, "strategy": "tensor"}, input_activations=_STATIC
)
FP8_WEIGHTS = config_groups("float-quantized", weights=_FLOAT8)
MXFP4 = config_groups("mxfp4-pack-quantized", weights=_FLOAT4)
NAIVE = config_groups("naive-quantized", weights=_INT8, input_activations=_TOKEN)
MIXED = config_groups() | {
    "format": "mixed-precision",
    "config_groups": {
        "group_0": {"targets": ["re:.*mlp.*"], "format": "pack-quantized", "weights": INT4},
        "group_1": {
            "targets": ["re:.*self_attn.*"],
            "format": "int-quantized",
            "weights": _INT8,
            "input_activations": _TOKEN,
        },
    },
}
GPTQ: Json = {"quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": False, "sym": True}
AWQ: Json = {
    "quant_method": "awq",
    "bits": 4,
    "group_size": 64,
    "zero_point": True,
    "version": "gemm",
}
FP8_HF: Json = {"quant_method": "fp8", "activation_scheme": "dynamic"}
FP8_BLOCK: Json = {
    "quant_method": "fp8",
    "activation_scheme": "dynamic",
    "weight_block_size": [32, 32],
}
AUTOROUND: Json = {
    "quant_method": "auto-round",
    "bits": 4,
    "group_size": 64,
    "sym": True,
    "data_type": "int",
    "packing_format": "auto_round:auto_gptq",
    "block_name_to_quantize": "model.layers",
    "autoround_version": "0.16.0",
}
MODELOPT: Json = {"quant_method": "modelopt", "quant_algo": "FP8", "ignore": ["lm_head"]}
MODELOPT_NVFP4: Json = {**MODELOPT, "quant_algo": "NVFP4"}
