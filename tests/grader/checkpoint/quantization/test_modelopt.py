"""What ModelOpt stores its own way: NVFP4, MXFP8, FP8 by rows and by blocks, and quantized heads."""

from __future__ import annotations

from typing import Any

import pytest

from grader.checkpoint.quantization.kernels import find_kernel_problems
from grader.contest import Hardware
from grader.gallery.quantised import MODELOPT, MODELOPT_NVFP4
from tests.grader.checkpoint.quantization.plans import FIRST, decoder, plan, refusal

DOWN = f"{FIRST}mlp.down_proj"  # 128 × 256
GROUPS = {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "float"}}}
NESTED = {
    "quant_method": "modelopt",
    "producer": {"name": "modelopt", "version": "0.35.0"},
    "quantization": {
        "quant_algo": "nvfp4",
        "group_size": 16,
        "kv_cache_quant_algo": None,
        "exclude_modules": ["lm_head", "model.layers.0*"],
    },
}


def layer(config: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], list[str], bool]]:
    """Suffix -> (shape, dtypes, optional) of the tensors of one layer."""
    rows, columns = decoder().linears[DOWN]
    return {
        suffix: (expected.shapes[0], sorted(expected.dtypes), expected.optional)
        for suffix, expected in plan(config).schemes[DOWN].tensors(rows, columns).items()
    }


@pytest.mark.parametrize("config", [MODELOPT_NVFP4, NESTED])
def test_nvfp4_in_both_spellings_is_given_to_the_engine_as_modelopts(
    config: dict[str, Any],
) -> None:
    found = plan(config, methods=("compressed-tensors",))
    assert {scheme.words for scheme in found.schemes.values()} == {"NVFP4"}
    assert found.config is not None
    assert found.config["quant_algo"] == "NVFP4"
    assert found.config["quant_method"] == "modelopt"
    left_out = [name for name in decoder().linears if name not in found.schemes]
    assert found.config["ignore"] == [*left_out, "lm_head"]
    assert len(left_out) == (7 if config is NESTED else 0)


def test_tensors_of_nvfp4() -> None:
    assert layer(MODELOPT_NVFP4) == {
        "weight": ((128, 128), ["U8"], False),
        "weight_scale": ((128, 16), ["F8_E4M3"], False),
        "weight_scale_2": ((1,), ["F32"], False),
        "input_scale": ((), ["F32"], False),
    }
    alone = layer({**MODELOPT_NVFP4, "quant_algo": "W4A16_NVFP4"})
    assert alone["input_scale"] == ((), ["F32"], True)  # the engine drops it


def test_nvfp4_whose_groups_have_no_activations_is_of_weights_alone() -> None:
    found = plan({**MODELOPT_NVFP4, "config_groups": GROUPS})
    assert found.schemes[DOWN].words == "NVFP4A16"
    assert found.config is not None
    assert found.config["quant_algo"] == "W4A16_NVFP4"


def test_tensors_of_the_other_algorithms() -> None:
    def of(algorithm: str) -> dict[str, tuple[tuple[int, ...], list[str], bool]]:
        return layer({**MODELOPT, "quant_algo": algorithm, "ignore": ["lm_head", "*self_attn*"]})

    weight = ((128, 256), ["F8_E4M3"], False)
    floats = ["BF16", "F16", "F32"]
    assert of("MXFP8") == {"weight": weight, "weight_scale": ((128, 8), ["U8"], False)}
    by_rows = of("FP8_PER_CHANNEL_PER_TOKEN")
    assert by_rows == {"weight": weight, "weight_scale": ((128,), floats, False)}
    by_blocks = of("fp8_pb_wo")
    assert by_blocks == {"weight": weight, "weight_scale": ((1, 1, 2, 1), floats, False)}


@pytest.mark.parametrize("algorithm", ["FP8", "NVFP4", "FP8_PER_CHANNEL_PER_TOKEN"])
def test_a_quantized_head(algorithm: str) -> None:
    config = {**MODELOPT, "quant_algo": algorithm, "ignore": []}
    untied = plan(config, tied=False)
    assert untied.schemes["lm_head"] == untied.schemes[DOWN]
    assert untied.config == {"quant_method": "modelopt", "quant_algo": algorithm, "ignore": []}
    assert "lm_head" not in plan(config).schemes  # tied: the embedding stays as it is


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"quant_algo": "NVFP4_AWQ"}, "QUANT_UNSUPPORTED quantization_config.quant_algo"),
        ({"quant_algo": "MIXED_PRECISION"}, "QUANT_UNSUPPORTED quantization_config.quant_algo"),
        ({"quant_algo": ""}, "QUANT_UNSUPPORTED quantization_config.quant_algo"),
        ({"group_size": 32}, "QUANT_RANGE quantization_config.group_size"),
        ({"ignore": ["lm_head", "*q_proj"]}, "QUANT_FUSED model.layers.0.self_attn.qkv_proj"),
        ({"ignore": ["lm_head", "*a*b*c*d*e*"]}, "QUANT_PATTERN quantization_config.ignore"),
        ({"quant_algo": "FP8_PB_WO", "ignore": []}, "QUANT_LM_HEAD lm_head"),
        ({"quant_algo": "FP8_PB_WO"}, "QUANT_GROUP_SIZE model.layers.0.self_attn.k_proj"),
    ],
)
def test_what_the_engine_does_not_run(changes: dict[str, Any], expected: str) -> None:
    assert refusal({**MODELOPT_NVFP4, **changes}, tied=False).startswith(expected)


def test_nvfp4_is_allowed_where_its_kernels_are() -> None:
    found = refusal(MODELOPT_NVFP4, methods=("gptq", "fp8"))
    assert found.startswith("QUANT_UNSUPPORTED quantization_config.quant_method")
    assert plan(MODELOPT_NVFP4, methods=("modelopt",)).schemes


@pytest.mark.parametrize(
    ("algorithm", "capability", "codes"),
    [
        ("NVFP4", 0.0, {"KERNEL_MISSING"}),
        ("NVFP4", 7.0, {"KERNEL_MISSING"}),
        ("NVFP4", 7.5, {"KERNEL_EMULATED"}),
        ("NVFP4", 8.9, {"KERNEL_EMULATED"}),
        ("NVFP4", 10.0, set()),
        ("W4A16_NVFP4", 0.0, {"KERNEL_MISSING"}),
        ("W4A16_NVFP4", 7.5, set()),
        ("MXFP8", 0.0, {"KERNEL_MISSING"}),
        ("MXFP8", 7.5, {"KERNEL_MISSING"}),
        ("MXFP8", 10.0, set()),
        ("FP8_PER_CHANNEL_PER_TOKEN", 0.0, {"KERNEL_FP8"}),
        ("FP8_PER_CHANNEL_PER_TOKEN", 7.5, {"KERNEL_MISSING"}),
        ("FP8_PER_CHANNEL_PER_TOKEN", 8.9, set()),
        ("FP8_PB_WO", 0.0, {"KERNEL_MISSING"}),
    ],
)
def test_machines(algorithm: str, capability: float, codes: set[str]) -> None:
    found = plan({**MODELOPT, "quant_algo": algorithm, "ignore": ["lm_head", "*self_attn*"]})
    problems = find_kernel_problems(found, decoder().linears, Hardware("machine", capability))
    assert {problem.code for problem in problems} == codes
