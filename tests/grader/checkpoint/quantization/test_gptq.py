"""GPTQ: GPTQModel's rules for single layers, and what the engine is told of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from grader.gallery.quantised import GPTQ
from tests.grader.checkpoint.quantization.plans import FIRST, packed, plan, refusal

QKV = [f"{FIRST}self_attn.{name}_proj" for name in "qkv"]


def rules(**dynamic: dict[str, Any] | None) -> dict[str, Any]:
    return {**GPTQ, "dynamic": dynamic}


def test_a_rule_leaves_layers_alone() -> None:
    found = plan(rules(**{r"-:.*layers\.0\..*": {}}), packed("layers.0."))
    assert {name.split(".")[2] for name in found.schemes} == {"1"}
    assert found.config is not None
    assert found.config["dynamic"] == {r"-:.*layers\.0\..*": {}}


def test_a_rule_changes_bits_and_group_size() -> None:
    found = plan(rules(**{r"+:.*down_proj": {"bits": 8, "group_size": 32}}), packed())
    assert found.schemes[f"{FIRST}mlp.down_proj"].words == "W8A16 g32"
    assert found.schemes[f"{FIRST}mlp.up_proj"].words == "W4A16 g64"


def test_the_first_rule_that_matches_counts() -> None:
    dynamic = {"-:.*down_proj": {}, r"+:.*mlp\..*": {"bits": 8}, ".*": {"group_size": 32}}
    found = plan(rules(**dynamic), packed("down_proj"))
    words = {name.removeprefix(FIRST): s.words for name, s in found.schemes.items()}
    assert "mlp.down_proj" not in words
    assert words["mlp.up_proj"] == "W8A16 g64"
    assert words["self_attn.o_proj"] == "W4A16 g32"


def test_a_rule_for_all_parts_is_written_for_the_fused_layer() -> None:
    """GPTQModel asks about q_proj, k_proj and v_proj, the engine about qkv_proj only."""
    pattern = r"+:.*\.(q|k|v)_proj$"
    found = plan(rules(**{pattern: {"bits": 8}}), packed())
    assert {found.schemes[layer].bits for layer in QKV} == {8}
    assert found.config is not None
    assert list(found.config["dynamic"].items()) == [
        (rf"+:{re.escape(FIRST)}self_attn\.qkv_proj$", {"bits": 8}),
        (r"+:model\.layers\.1\.self_attn\.qkv_proj$", {"bits": 8}),
        (pattern, {"bits": 8}),
    ]


def test_a_rule_that_only_the_engine_would_apply_is_not_applied_to_half() -> None:
    """``.*v_proj`` matches qkv_proj too: the engine would read all three parts in 8 bits."""
    assert refusal(rules(**{"+:.*q_proj": {"bits": 8}}), packed()).startswith("QUANT_FUSED")
    found = plan(rules(**{"+:.*v_proj": {"bits": 8}}), packed())
    assert {found.schemes[layer].bits for layer in QKV} == {8}


@pytest.mark.parametrize(
    ("dynamic", "expected"),
    [
        ({"-:(a+)+$": {}}, "QUANT_PATTERN"),
        ({"+:.*": {"bits": "8"}}, "QUANT_SYNTAX"),
        ({"+:.*": 8}, "QUANT_SYNTAX"),
        ({"+:.*": {"bits": 3}}, "QUANT_UNSUPPORTED"),
        ({"+:.*": {"sym": False}}, "QUANT_UNSUPPORTED"),
        ({"+:.*": {"group_size": 16}}, "QUANT_GPTQ_GROUP"),
        ({"+:.*": {"desc_act": True}}, "QUANT_ACTORDER"),
        ({f"+:.*{index}.*": {} for index in range(200)}, "QUANT_PATTERN"),
    ],
)
def test_rules_that_the_engine_could_not_follow(dynamic: dict[str, Any], expected: str) -> None:
    assert refusal(rules(**dynamic), packed()).startswith(expected)


def test_a_rule_whose_groups_are_whole_channels_may_be_ordered() -> None:
    found = plan(rules(**{"+:.*": {"desc_act": True, "group_size": -1}}), packed())
    assert {scheme.words for scheme in found.schemes.values()} == {"W4A16"}


def test_a_quantized_head() -> None:
    config = {**GPTQ, "lm_head": True}
    assert "lm_head" in plan(config, packed(), tied=False, vocab=128).schemes
    assert refusal(config, packed(), tied=False) == "QUANT_LM_HEAD lm_head: 96 % 64 = 32"
    assert "lm_head" not in plan(config, packed("lm_head"), tied=False).schemes
    assert plan(config, packed("lm_head")).config == GPTQ  # tied: there is none


def test_keys_of_a_tool_are_dropped_by_name() -> None:
    found = plan({**GPTQ, "hyb_act": True, "groupsize": 64}, packed())
    assert found.unread == ("groupsize", "hyb_act")
    assert found.config == GPTQ


@pytest.mark.parametrize("form", ["gptq", "gptq_v2"])
def test_zeros_of_either_convention(form: str) -> None:
    """The engine does not read the zeros of symmetric weights."""
    assert plan({**GPTQ, "checkpoint_format": form}, packed()).config == GPTQ
    assert plan({**GPTQ, "format": form}, packed()).config == GPTQ


def test_nested_names_are_flattened() -> None:
    names = [["self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj"], ["self_attn.o_proj"]]
    found = plan({**GPTQ, "modules_in_block_to_quantize": names}, packed())
    assert found.config is not None
    assert found.config["modules_in_block_to_quantize"] == [*names[0], *names[1]]
    assert not any("mlp" in name for name in found.schemes)
