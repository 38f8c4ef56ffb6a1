"""A base model that is quantized when it comes: gpt-oss, whose experts are stored in MXFP4."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from grader import contest as contests
from grader.checkpoint import examine, write_canonical
from grader.checkpoint.contest_faults import find_contest_faults
from grader.contest import Contest
from grader.gallery.tiny import ORGANISER, Raw, contest_source, safetensors

MXFP4 = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
CONFIG: dict[str, Any] = {
    "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "head_dim": 16, "hidden_size": 64,
    "intermediate_size": 64, "layer_types": ["sliding_attention", "full_attention"], "vocab_size": 96,
    "max_position_embeddings": 1024, "num_attention_heads": 4, "num_hidden_layers": 2,
    "num_key_value_heads": 2, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 64,
    "tie_word_embeddings": False, "quantization_config": MXFP4,
}  # fmt: skip
_LAYER = {
    "input_layernorm.weight": ("BF16", 64), "post_attention_layernorm.weight": ("BF16", 64),
    "self_attn.q_proj.weight": ("BF16", 64, 64), "self_attn.q_proj.bias": ("BF16", 64),
    "self_attn.k_proj.weight": ("BF16", 32, 64), "self_attn.k_proj.bias": ("BF16", 32),
    "self_attn.v_proj.weight": ("BF16", 32, 64), "self_attn.v_proj.bias": ("BF16", 32),
    "self_attn.o_proj.weight": ("BF16", 64, 64), "self_attn.o_proj.bias": ("BF16", 64),
    "self_attn.sinks": ("BF16", 4), "mlp.router.weight": ("BF16", 2, 64), "mlp.router.bias": ("BF16", 2),
    "mlp.experts.gate_up_proj_blocks": ("U8", 2, 128, 2, 16),
    "mlp.experts.gate_up_proj_scales": ("U8", 2, 128, 2), "mlp.experts.gate_up_proj_bias": ("BF16", 2, 128),
    "mlp.experts.down_proj_blocks": ("U8", 2, 64, 2, 16), "mlp.experts.down_proj_scales": ("U8", 2, 64, 2),
    "mlp.experts.down_proj_bias": ("BF16", 2, 64),
}  # fmt: skip
_OUTSIDE = {
    "model.embed_tokens.weight": ("BF16", 96, 64),
    "model.norm.weight": ("BF16", 64),
    "lm_head.weight": ("BF16", 96, 64),
}


def write(folder: Path, changes: dict[str, Any] | None = None, **others: Raw) -> Path:
    """A checkpoint with keys of the config changed (None: left out) and tensors replaced."""
    config = {k: v for k, v in (CONFIG | (changes or {})).items() if v is not None}
    layers = range(config["num_hidden_layers"])
    wanted = _OUTSIDE | {
        f"model.layers.{i}.{n}": each for i in layers for n, each in _LAYER.items()
    }
    tensors = {}
    for name, (dtype, *shape) in wanted.items():
        size_bytes = (1 if dtype == "U8" else 2) * math.prod(shape)
        tensors[name] = Raw(dtype, tuple(shape), b"\1" * size_bytes)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "model.safetensors").write_bytes(safetensors(tensors | others))
    return folder


@pytest.fixture
def contest(tmp_path: Path) -> Contest:
    base = write(tmp_path / "base_model")
    for name, data in ORGANISER.items():
        (base / name).write_bytes(data)
    return contests.parse(contest_source(architecture='"GptOssForCausalLM"'), tmp_path)


def codes(folder: Path, contest: Contest) -> list[tuple[str, str]]:
    return [(each.code, each.where) for each in examine(folder, contest, scan=True)[1].problems]


def test_the_base_model_itself_passes_and_stays_as_it_is(contest: Contest, tmp_path: Path) -> None:
    assert list(find_contest_faults(contest)) == []
    checked, findings = examine(contest.base_folder, contest, scan=True)
    assert (findings.problems, findings.facts.scheme) == ((), "MXFP4")
    write_canonical(checked, tmp_path / "canonical", contest)
    written = json.loads((tmp_path / "canonical" / "config.json").read_text("utf-8"))
    assert written["quantization_config"] == MXFP4


def test_a_pruned_one_passes(contest: Contest, tmp_path: Path) -> None:
    changes = {"num_hidden_layers": 1, "layer_types": ["sliding_attention"]}
    assert codes(write(tmp_path / "pruned", changes), contest) == []


@pytest.mark.parametrize(
    "quantization", [None, {"quant_method": "fp8"}, MXFP4 | {"modules_to_not_convert": []}]
)
def test_its_tensors_are_read_in_no_other_way(
    contest: Contest, tmp_path: Path, quantization: dict[str, Any] | None
) -> None:
    """Without the key the engine would read packed bytes as weights."""
    folder = write(tmp_path / "other", {"quantization_config": quantization})
    assert codes(folder, contest) == [("CONFIG_FIXED_KEY", "quantization_config")]


def test_another_layout_of_the_experts_is_named(contest: Contest, tmp_path: Path) -> None:
    name = "model.layers.0.mlp.experts.down_proj_blocks"
    folder = write(tmp_path / "bf16", **{name: Raw("BF16", (2, 64, 64), b"\1" * 16384)})
    assert [where for _, where in codes(folder, contest)] == [name]
