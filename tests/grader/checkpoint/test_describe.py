from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.checkpoint.base import base_headers
from grader.checkpoint.describe import PARTS, SAVINGS, describe, part_of, parts, savings
from grader.contest import CONTESTS
from grader.protocol.documents import Tensor
from tests.checkpoints import write_full_size

AIMERS8 = json.loads((CONTESTS / "aimers8" / "config.json").read_text())
# Two unquantized ones, and two schemes that tools write but the engine does not support.
NOT_QUANTISED = {"plain": "bf16", "untied": "bf16", "w8a8_tensor": "compressed-tensors",
                 "w4afp8": "compressed-tensors"}  # fmt: skip
REAL = json.loads((Path(__file__).parent / "real_checkpoints.json").read_text())


def tensor(name: str, dtype: str = "BF16", *shape: int) -> Tensor:
    size = {"BF16": 2, "F32": 4, "I32": 4, "I8": 1}[dtype]
    for length in shape:
        size *= length
    return Tensor(name, dtype, shape, size)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model.embed_tokens.weight", "embedding"),
        ("lm_head.weight", "head"),
        ("model.layers.0.self_attn.q_proj.weight_packed", "attention"),
        ("model.layers.0.self_attn.q_norm.weight", "norms"),
        ("model.layers.0.mlp.up_proj.weight_scale", "scales"),
        ("model.layers.0.mlp.up_proj.qweight", "mlp"),
        ("model.layers.0.mlp.up_proj.qzeros", "scales"),
        ("model.layers.0.self_attn.k_scale", "scales"),
        ("something", "other"),
    ],
)
def test_part_of_a_tensor(name, part):
    assert part_of(name) == part


def test_a_tied_head_written_twice_is_a_free_saving_an_untied_one_is_not():
    head = tensor("lm_head.weight", "BF16", 8, 4)
    (found,) = savings([head], tied=True)
    assert (found.name, found.size_bytes, found.free) == ("duplicate_head", 64, True)
    assert savings([head], tied=False) == ()


def test_wide_tensors_are_halved_once_and_then_quantised():
    linear = tensor("model.layers.0.mlp.up_proj.weight", "F32", 128, 128)
    wide, eight, four = savings([linear], tied=True)
    assert (wide.name, wide.size_bytes, wide.free) == ("float32", 32768, True)
    assert (eight.size_bytes, eight.free) == (16384, False)
    assert four.size_bytes == pytest.approx(32768 * (1 - 4.125 / 16), abs=1)


def test_what_the_engine_does_not_read():
    names = ("model.layers.0.mlp.up_proj.g_idx", "model.layers.0.self_attn.k_scale")
    (found,) = savings([tensor(names[0], "I32", 10), tensor(names[1], "F32")][:1], tied=True)
    assert (found.name, found.size_bytes) == ("unread", 40)


def test_the_numbers_of_the_real_model():
    found = describe(AIMERS8, base_headers(CONTESTS / "aimers8").tensors)
    assert found.parameters == 1_279_391_488
    assert found.dense_bytes == 2_558_782_976
    assert found.sentence("en") == (
        "Exaone4ForCausalLM: 30 layers, 2,048 wide, MLP 4,096, 32 heads and 8 KV heads of 64, "
        "vocabulary 102,400, tied embedding; 1,279,391,488 parameters; bf16"
    )
    assert "레이어 30개" in found.sentence("ko") and "임베딩 공유" in found.sentence("ko")


@pytest.mark.parametrize("name", sorted(REAL["checkpoints"]))
def test_real_checkpoints_are_told_by_their_scheme(name):
    stored = REAL["checkpoints"][name]
    tensors = [
        Tensor(name.format(i=layer), *parsed)
        for name, text in stored["tensors"].items()
        for layer in (range(2) if "{i}" in name else range(1))
        for dtype, _, shape in [text.partition(" ")]
        for parsed in [(dtype, tuple(json.loads(shape)), 1)]
    ]
    found = describe(REAL["config"] | stored["changes"], tensors)
    assert found.quantised_layers == (0 if name in NOT_QUANTISED else 14)
    assert found.scheme == NOT_QUANTISED.get(name, found.scheme) and found.scheme in found.sentence(
        "en"
    )
    assert any(not saving.free for saving in found.savings) == (found.scheme == "bf16")


def test_another_architecture_is_described_as_far_as_it_goes():
    group = {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "symmetric": True,
             "strategy": "group", "group_size": 64}}  # fmt: skip
    config = AIMERS8 | {
        "architectures": ["LlamaForCausalLM"],
        "quantization_config": {
            "quant_method": "compressed-tensors",
            "format": "pack-quantized",
            "config_groups": {"group_0": group},
        },
    }
    found = describe(config, [])
    assert (found.scheme, found.parameters) == ("W4A16 g64", 0)
    assert "LlamaForCausalLM: 30 layers" in found.sentence("en")
    assert describe({}, []).sentence("en") == "Unknown architecture, ?"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*AIMERS8, "quantization_config"]), values))
def test_no_config_is_refused(changes):
    found = describe(AIMERS8 | changes, [])
    assert found.sentence("en") and found.sentence("ko")


@given(
    st.lists(
        st.builds(
            tensor,
            st.sampled_from(["lm_head.weight", "model.norm.weight", "x.mlp.up.weight", "a.g_idx"]),
            st.sampled_from(["BF16", "F32", "I8"]),
            st.integers(1, 9),
            st.integers(1, 9),
        )
    ),
    st.booleans(),
)
def test_parts_add_up_and_no_saving_exceeds_what_is_there(tensors, tied):
    total = sum(t.size_bytes for t in tensors)
    assert sum(part.size_bytes for part in parts(tensors)) == total
    assert sum(part.tensors for part in parts(tensors)) == len(tensors)
    found = savings(tensors, tied)
    assert sum(saving.size_bytes for saving in found if saving.free) <= total
    assert {saving.name for saving in found} <= SAVINGS.keys()
    assert {part.name for part in parts(tensors)} <= PARTS.keys()


def test_routers_are_not_offered_as_a_saving():
    names = ["mlp.experts.0.up_proj.weight", "mlp.gate.weight", "mlp.router.weight"]
    held = [tensor(f"model.layers.0.{name}", "BF16", 8, 8) for name in names]
    held.append(tensor("model.layers.0.mlp.gate.e_score_correction_bias", "F32", 8, 1))
    assert {saving.tensors for saving in savings(held, tied=False)} == {1}
    assert savings(held[1:], tied=False) == ()


def test_the_group_size_that_is_advised_divides_every_row():
    """SmolLM2 is 576 wide: a recipe with groups of 128 would be refused."""
    found = savings(base_headers(CONTESTS / "smollm2/base_model").tensors, tied=True)
    (advice,) = [saving for saving in found if saving.name == "dense_4bit"]
    assert advice.group_size == 64
    assert "in groups of 64 would" in advice.words("en")
    assert "그룹 크기 64의" in advice.words("ko")
    assert advice.size_bytes == int((1 - 4.25 / 16) * 212_336_640)
    odd = [tensor("x.mlp.up.weight", "BF16", 48, 40)]
    assert "dense_4bit" not in {saving.name for saving in savings(odd, tied=False)}


def test_a_full_size_file_that_takes_no_disk(tmp_path):
    from grader import contest as rules
    from grader.checkpoint import read_header

    contest = rules.load(rules.find("aimers8"))
    file = write_full_size(tmp_path / "model", contest)
    found = describe(AIMERS8, list(read_header(file)))
    assert found.data_bytes == found.dense_bytes
    assert next(p for p in found.parts if p.name == "embedding").size_bytes == 419_430_400
