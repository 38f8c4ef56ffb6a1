"""AutoRound's and ModelOpt's configs, read as GPTQ's, AWQ's and the method ``fp8``'s."""

from __future__ import annotations

from typing import Any

import pytest

from grader.gallery.quantised import AUTOROUND, AWQ, GPTQ, MODELOPT
from tests.grader.checkpoint.quantization.plans import FIRST, packed, plan, refusal

DOWN = f"{FIRST}mlp.down_proj"


def extra(**layers: Any) -> dict[str, Any]:
    return {**AUTOROUND, "extra_config": layers}


def test_autoround_is_gptq() -> None:
    found = plan(AUTOROUND, packed())
    assert found.config == GPTQ
    assert {scheme.words for scheme in found.schemes.values()} == {"W4A16 g64"}
    assert plan(AUTOROUND, packed(), methods=("gptq",)).config == GPTQ
    assert "∉ awq" in refusal(AUTOROUND, packed(), methods=("awq",))


def test_layers_that_autoround_keeps_or_treats_differently() -> None:
    config = extra(**{
        DOWN: {"bits": 16, "data_type": "float"},
        "o_proj": {"bits": 8, "group_size": 32},
        r".*layers\.1\.mlp\..*": {"bits": 8},
    })  # fmt: skip
    found = plan(config, packed(DOWN))
    words = {name.removeprefix("model.layers."): s.words for name, s in found.schemes.items()}
    assert "0.mlp.down_proj" not in words
    assert words["0.mlp.up_proj"] == "W4A16 g64"
    assert words["1.mlp.up_proj"] == "W8A16 g64"
    assert words["1.self_attn.o_proj"] == "W8A16 g32"


def test_autoround_with_a_head() -> None:
    config = extra(lm_head={"bits": 4})
    assert "lm_head" in plan(config, packed(), tied=False, vocab=128).schemes
    assert "lm_head" not in plan(AUTOROUND, packed(), tied=False).schemes


def test_autoround_as_awq() -> None:
    config = {
        **extra(**{DOWN: {"bits": 16}}),
        "packing_format": "auto_round:auto_awq",
        "sym": False,
    }
    found = plan(config, packed(DOWN))
    assert found.config is not None
    assert found.config["quant_method"] == "awq"
    assert DOWN not in found.schemes
    assert found.schemes[f"{FIRST}mlp.up_proj"].words == "W4A16 g64 asym"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"packing_format": "auto_round:llm_compressor"}, "QUANT_UNSUPPORTED"),
        ({"data_type": "mx_fp"}, "QUANT_UNSUPPORTED"),
        ({"act_bits": 8}, "QUANT_UNSUPPORTED"),
        ({"bits": 2}, "QUANT_UNSUPPORTED"),
        ({"sym": False}, "QUANT_UNSUPPORTED"),
        ({"group_size": 16}, "QUANT_GPTQ_GROUP"),
        ({"extra_config": {f"{FIRST}self_attn.q_proj": {"bits": 8}}}, "QUANT_FUSED"),
        ({"extra_config": {"(a+)+$": {"bits": 16}}}, "QUANT_PATTERN"),
        ({"extra_config": {DOWN: {"bits": "16"}}}, "QUANT_SYNTAX"),
        ({"extra_config": {DOWN: 16}}, "QUANT_SYNTAX"),
        (
            {"packing_format": "auto_round:auto_awq", "extra_config": {DOWN: {"bits": 8}}},
            "QUANT_UNSUPPORTED",
        ),
    ],
)
def test_autoround_that_the_engine_could_not_run(change: dict[str, Any], expected: str) -> None:
    assert refusal({**AUTOROUND, **change}, packed()).startswith(expected)


@pytest.mark.parametrize(
    "config",
    [
        {**MODELOPT, "ignore": ["lm_head", "model.layers.0*", "*.mlp.down_proj"]},
        {
            "quant_method": "modelopt",
            "producer": {"name": "modelopt", "version": "0.29.0"},
            "quantization": {
                "quant_algo": "fp8",
                "exclude_modules": ["lm_head", "model.layers.0*", "*.mlp.down_proj"],
            },
        },
    ],
)
def test_modelopt_in_both_of_its_spellings(config: dict[str, Any]) -> None:
    found = plan(config, tied=False, methods=("fp8",))
    assert len(found.schemes) == 6
    assert {scheme.words for scheme in found.schemes.values()} == {"FP8 static"}
    assert found.config is not None
    assert found.config["activation_scheme"] == "static"
    assert "model.layers.1.mlp.down_proj" in found.config["ignored_layers"]
    assert not found.kv_ignored


def test_modelopt_with_a_quantized_cache() -> None:
    nested = {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}
    cached = {"quant_method": "modelopt", "quantization": nested}
    assert plan(cached).kv_ignored
    assert refusal(cached, kv_cache="refuse").startswith("QUANT_KV_NOT_ALLOWED")


def test_symmetric_awq_holds_zeros_all_the_same() -> None:
    found = plan({**AWQ, "zero_point": False}, packed())
    assert found.config is not None
    assert found.config["zero_point"] is True
    assert found.schemes[DOWN].words == "W4A16 g64 asym"


def test_awq_without_names_goes_by_the_tensors() -> None:
    assert DOWN not in plan(AWQ, packed(DOWN)).schemes
    named = {**AWQ, "modules_to_not_convert": ["lm_head"]}
    assert DOWN in plan(named, packed(DOWN)).schemes  # and the table then misses its tensors
    head = {**AWQ, "lm_head": True}
    assert "lm_head" in plan(head, packed(), tied=False, vocab=128).schemes
    assert refusal(head, packed(), tied=False) == "QUANT_LM_HEAD lm_head: 96 % 64 = 32"
