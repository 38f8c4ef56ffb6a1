"""Which layers compressed-tensors' groups select; above all the input embedding, which has no name."""

from __future__ import annotations

from typing import Any

import pytest

from grader.checkpoint.quantization.kernels import find_kernel_problems
from grader.checkpoint.tensors import expected_of
from grader.contest import Hardware
from grader.gallery.quantised import INT4, W4A16, W8A8, config_groups
from tests.grader.checkpoint.quantization.plans import decoder, plan, refusal

PACKED = ["model.embed_tokens.weight_packed"]
ATTENTION = {"targets": ["Exaone4Attention"], "input_activations": {"num_bits": 8, "type": "float"}}


def selecting(
    *targets: str, ignore: tuple[str, ...] = ("lm_head",), **scheme: Any
) -> dict[str, Any]:
    found = config_groups(targets=list(targets), weights={**INT4, **scheme})
    return found | {"ignore": list(ignore)}


@pytest.mark.parametrize("targets", [("re:.*",), ("Linear", "Embedding"), ("re:.*_proj$", "re:")])
def test_an_embedding_that_is_hit_but_not_quantized(targets: tuple[str, ...]) -> None:
    """The engine asks about it under an empty name; the config it gets leaves that name alone."""
    found = plan(selecting(*targets))
    assert found.embedding is None
    assert found.config is not None
    assert found.config["ignore"] == ["lm_head", "re:$"]
    assert len(found.schemes) == 14


def test_an_embedding_that_is_not_hit() -> None:
    found = plan(W4A16)
    assert found.config is not None
    assert found.config["ignore"] == ["lm_head"]


@pytest.mark.parametrize("target", ["Embedding", "re:.*embed_tokens", "model.embed_tokens"])
def test_a_quantized_embedding(target: str) -> None:
    config = selecting("Linear", target, num_bits=8)
    found = plan(config, PACKED, tied=False)
    assert found.embedding is not None
    assert found.embedding.words == "W8A16 g64"
    assert found.config is not None
    (group,) = found.config["config_groups"].values()
    reached = target == "Embedding"  # by its class; by its name the engine does not know it
    assert group["targets"] == ["Linear", target, *([] if reached else ["VocabParallelEmbedding"])]
    table = expected_of(found, decoder(tied=False))
    assert table["model.embed_tokens.weight_packed"].shapes == ((96, 32),)
    assert "model.embed_tokens.weight" not in table
    linears = decoder(tied=False).linears
    on_cpu = find_kernel_problems(found, linears, Hardware("CPU"))
    assert ("KERNEL_MISSING", "model.embed_tokens") in {(p.code, p.where) for p in on_cpu}
    assert find_kernel_problems(found, linears, Hardware("L4", 8.9)) == []


@pytest.mark.parametrize("scheme", [{"num_bits": 3}, {"symmetric": False}, {"type": "float"}])
def test_an_embedding_that_the_engine_cannot_look_up(scheme: dict[str, Any]) -> None:
    config = selecting("Linear", "Embedding", **scheme)
    expected = "QUANT_UNSUPPORTED" if "type" in scheme else "QUANT_EMBEDDING"
    assert refusal(config, PACKED, tied=False).startswith(expected)


def test_a_tied_embedding_stays_as_it_is() -> None:
    found = refusal(selecting("Linear", "Embedding"), PACKED)
    assert found == "QUANT_EMBEDDING model.embed_tokens: W4A16 g64, tied"


def test_a_pattern_that_also_hits_a_fused_name() -> None:
    """``re:.*v_proj$`` matches qkv_proj: the engine would read q_proj and k_proj in 8 bits too."""
    groups = {
        "a": {"targets": ["re:.*v_proj$"], "weights": {**INT4, "num_bits": 8}},
        "b": {"targets": ["re:.*_proj$"], "weights": INT4},
    }
    config = {**W4A16, "config_groups": groups}
    assert refusal(config) == (
        "QUANT_FUSED model.layers.0.self_attn.qkv_proj: W8A16 g64: W4A16 g64 ≠ W4A16 g64 ≠ W8A16 g64"
    )


def test_groups_for_attention_are_left_out() -> None:
    config = {**W8A8, "config_groups": {**W8A8["config_groups"], "attention": ATTENTION}}
    found = plan(config)
    assert found.kv_ignored
    assert found.config is not None
    assert list(found.config["config_groups"]) == ["group_0"]
    assert refusal(config, kv_cache="refuse").startswith("QUANT_KV_NOT_ALLOWED")


def test_sparsity_that_does_nothing_is_left_out() -> None:
    config = {**W8A8, "sparsity_config": {"format": "dense", "targets": [], "ignore": []}}
    found = plan(config)
    assert found.config is not None
    assert "sparsity_config" not in found.config
    sparse = {**W8A8, "sparsity_config": {"format": "sparse-bitmask", "targets": ["Linear"]}}
    assert refusal(sparse).endswith(": sparse-bitmask")


def test_other_spellings() -> None:
    capital = selecting("Linear", type="INT", strategy="GROUP", actorder="WEIGHT")
    assert {s.words for s in plan(capital).schemes.values()} == {"W4A16 g64"}
    block = {"num_bits": 8, "type": "float", "strategy": "block", "block_structure": "32x32"}
    inputs = {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True}
    fp8 = config_groups("float-quantized", weights=block, input_activations=inputs)
    assert {s.block for s in plan(fp8).schemes.values()} == {(32, 32)}


def test_unknown_keys_are_dropped_where_the_engine_ignores_them() -> None:
    group = {**W8A8["config_groups"]["group_0"], "note": "x"}
    found = plan({**W8A8, "speedup": 1, "config_groups": {"group_0": group}})
    assert found.unread == ("speedup", "note")
    assert found.config is not None
    assert "speedup" not in found.config
    assert "note" not in found.config["config_groups"]["group_0"]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("observer", 3, "int 3"),
        ("observer", ["minmax"], "list ['minmax']"),
        ("scale_dtype", "junk", "str junk"),
        ("scale_dtype", "torch.nn", "str torch.nn"),
        ("scale_dtype", "", "str "),
        ("zp_dtype", "torch.int9", "str torch.int9"),
        ("zp_dtype", 8, "int 8"),
        ("dynamic", "", '""'),
        ("dynamic", None, "None"),
        ("dynamic", [], "[]"),
        ("actorder", "", '""'),
    ],
)
def test_what_the_engines_parser_refuses_is_refused_before_it_starts(
    key: str, value: Any, shown: str
) -> None:
    assert refusal(selecting("Linear", **{key: value})) == (
        f"QUANT_SYNTAX quantization_config.config_groups.group_0.weights.{key}: {shown}"
    )


def test_types_as_torch_names_them() -> None:
    for name in ("torch.bfloat16", "uint8", None):
        assert plan(selecting("Linear", scale_dtype=name, zp_dtype=name)).schemes
