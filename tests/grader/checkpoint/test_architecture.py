"""Base models of other families: their tables are derived from their own headers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from grader import contest as contests
from grader.checkpoint.architecture import Architecture, Decoder
from grader.checkpoint.base import Headers, base_architecture, base_headers, write_table
from grader.checkpoint.engine_layers import engine_layers, find_obstacle, served
from grader.checkpoint.finding import Refused
from grader.checkpoint.quantization.fused import units
from grader.checkpoint.quantization.kernels import find_kernel_problems
from grader.checkpoint.quantization.plan import read_plan
from grader.checkpoint.tensors import dense_tensors, expected_tensors, find_tensor_problems
from grader.contest import Hardware
from grader.gallery import quantised as q
from grader.gallery.tiny import CONFIG, SHAPES, tiny_contest
from grader.protocol.documents import Tensor

Json = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]
RULES = contests.CheckpointRules((), (), ("compressed-tensors", "gptq", "awq", "fp8"))

ATTENTION: Shapes = {
    "self_attn.q_proj.weight": (128, 64),
    "self_attn.k_proj.weight": (32, 64),
    "self_attn.v_proj.weight": (32, 64),
    "self_attn.o_proj.weight": (64, 128),
    "input_layernorm.weight": (64,),
}
MLP: Shapes = {
    "mlp.gate_proj.weight": (96, 64),
    "mlp.up_proj.weight": (96, 64),
    "mlp.down_proj.weight": (64, 96),
}
EXPERTS: Shapes = {
    "mlp.gate.weight": (4, 64),
    **{f"mlp.experts.{e}.{n}_proj.weight": (48, 64) for e in range(4) for n in ("gate", "up")},
    **{f"mlp.experts.{e}.down_proj.weight": (64, 48) for e in range(4)},
}
STACKED: Shapes = {
    "mlp.router.weight": (4, 64),
    "mlp.experts.gate_up_proj": (4, 64, 192),
    "mlp.experts.gate_up_proj_bias": (4, 192),
    "mlp.experts.down_proj": (4, 96, 64),
}
AROUND: Shapes = {
    "model.embed_tokens.weight": (80, 64),
    "model.norm.weight": (64,),
    "lm_head.weight": (80, 64),
}


def config(architecture: str, layers: int, **more: Any) -> Json:
    return {
        "architectures": [architecture],
        "num_hidden_layers": layers,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": 80,
        "tie_word_embeddings": False,
        **more,
    }


def model(of: Json, *layers: Shapes, around: Shapes = AROUND) -> Architecture:
    named = {f"model.layers.{i}.{n}": s for i, layer in enumerate(layers) for n, s in layer.items()}
    tensors = (Tensor(name, "BF16", shape, 0) for name, shape in (named | around).items())
    return Architecture.of(of, tensors)


def names(decoder: Decoder, layer: int) -> set[str]:
    stem = f"model.layers.{layer}."
    return {n.removeprefix(stem) for n in dense_tensors(decoder) if n.startswith(stem)}


DENSE, SPARSE = ATTENTION | MLP, ATTENTION | EXPERTS


def moe(**more: Any) -> Architecture:
    kinds = ["dense", "sparse", "sparse"]
    of = config("ExaoneMoeForCausalLM", 3, mlp_layer_types=kinds, **more)
    return model(of, DENSE, SPARSE, SPARSE)


def test_layers_are_those_that_the_configs_lists_say() -> None:
    base = moe()
    kept = base.config | {"num_hidden_layers": 2, "mlp_layer_types": ["sparse", "sparse"]}
    decoder = base.decoder(kept)
    assert names(decoder, 0) == names(decoder, 1) == SPARSE.keys()
    assert names(base.decoder(base.config), 0) == DENSE.keys()


def test_layers_without_a_list_are_those_of_the_index() -> None:
    """DeepSeek counts its dense layers from the front: whichever layer is dropped, the first stays dense."""
    of = config("DeepseekV3ForCausalLM", 3, first_k_dense_replace=1)
    base = model(of, DENSE, SPARSE, SPARSE)
    decoder = base.decoder(of | {"num_hidden_layers": 2})
    assert (names(decoder, 0), names(decoder, 1)) == (DENSE.keys(), SPARSE.keys())


def test_kind_of_layer_that_the_base_model_does_not_have() -> None:
    base = moe(layer_types=["full_attention"] * 2 + ["sliding_attention"])
    kinds = {"mlp_layer_types": ["dense"], "layer_types": ["sliding_attention"]}
    with pytest.raises(Refused, match="CONFIG_LAYER_KIND"):
        base.decoder(base.config | kinds | {"num_hidden_layers": 1})


def test_widths_follow_their_keys() -> None:
    base = model(config("LlamaForCausalLM", 1), DENSE)
    narrow = base.decoder(base.config | {"intermediate_size": 32, "num_attention_heads": 4})
    assert narrow.linears["model.layers.0.mlp.down_proj"] == (64, 32)
    assert narrow.linears["model.layers.0.self_attn.q_proj"] == (64, 64)
    assert narrow.linears["model.layers.0.self_attn.k_proj"] == (32, 64)
    assert narrow.others["model.layers.0.input_layernorm.weight"].shapes == ((64,),)


@pytest.mark.parametrize(
    ("name", "shape", "why"),
    [
        ("mixer.in_proj.weight", (777, 64), "777 = ?"),
        ("mixer.out_proj.weight", (64, 96), "96 = intermediate_size, state_size"),
    ],
)
def test_width_that_follows_from_no_key_or_from_two_is_not_guessed(
    name: str, shape: tuple[int, ...], why: str
) -> None:
    base = model(config("LlamaForCausalLM", 1, state_size=96), DENSE | {name: shape})
    assert base.decoder(base.config)  # unchanged, so it needs no attribution
    with pytest.raises(Refused, match="CONFIG_WIDTH") as refusal:
        base.decoder(base.config | {"intermediate_size": 32})
    (found,) = refusal.value.problems
    assert found.where == name
    assert found.detail.endswith(why)


def test_head_is_tied_untied_or_as_the_headers_say() -> None:
    base = model(config("LlamaForCausalLM", 1), DENSE)
    assert base.decoder(base.config).linears["lm_head"] == (80, 64)
    tied = base.decoder(base.config | {"tie_word_embeddings": True})
    assert "lm_head" not in tied.linears
    assert tied.others["lm_head.weight"].optional
    silent = {key: value for key, value in base.config.items() if key != "tie_word_embeddings"}
    headless = {name: shape for name, shape in AROUND.items() if name != "lm_head.weight"}
    assert not model(silent, DENSE).decoder(silent).tied
    assert model(silent, DENSE, around=headless).decoder(silent).tied


def test_router_and_other_tensors_are_never_quantised() -> None:
    decoder = moe().decoder(moe().config)
    assert "model.layers.1.mlp.gate" not in decoder.linears  # the engine does not quantize it
    assert "model.layers.1.mlp.gate.weight" in decoder.others
    llama = model(config("LlamaForCausalLM", 1), DENSE | {"self_attn.q_proj.bias": (128,)})
    assert "model.layers.0.self_attn.q_proj.bias" in llama.decoder(llama.config).others


def test_units_are_the_engines() -> None:
    decoder = moe().decoder(moe().config)
    found = {unit.name: unit for unit in units(decoder.linears)}
    assert len(found["model.layers.1.mlp.experts"].layers) == 12
    assert found["model.layers.1.mlp.experts"].parts == tuple(
        f"model.layers.1.mlp.experts.0.{name}_proj" for name in ("gate", "up", "down")
    )
    assert found["model.layers.0.self_attn.qkv_proj"].class_name == "QKVParallelLinear"
    assert sorted(layer for unit in found.values() for layer in unit.layers) == sorted(
        decoder.linears
    )


def test_fused_as_the_family_does_it() -> None:
    latent = {
        "self_attn.q_a_proj.weight": (24, 64),
        "self_attn.kv_a_proj_with_mqa.weight": (40, 64),
        "self_attn.o_proj.weight": (64, 128),
    }
    deepseek = model(config("DeepseekV3ForCausalLM", 1), latent | MLP)
    found = {unit.name for unit in units(deepseek.decoder(deepseek.config).linears)}
    assert "model.layers.0.self_attn.fused_qkv_a_proj" in found
    whole = {"self_attn.qkv_proj.weight": (192, 64), "self_attn.o_proj.weight": (64, 128)}
    phi = model(config("Phi3ForCausalLM", 1), whole | MLP)
    phi_units = {unit.name: unit.layers for unit in units(phi.decoder(phi.config).linears)}
    assert phi_units["model.layers.0.self_attn.qkv_proj"] == ("model.layers.0.self_attn.qkv_proj",)
    assert ("model.layers.0.mlp.gate_proj",) in phi_units.values()  # already fused in Phi-3


def test_experts_have_one_scheme_or_none() -> None:
    decoder = moe().decoder(moe().config)
    everywhere = read_plan(q.FP8, RULES, decoder.linears, ())
    assert everywhere.schemes.keys() == decoder.linears.keys() - {"lm_head"}
    ignored = {**q.FP8, "ignore": ["lm_head", "re:.*experts.*"]}
    plan = read_plan(ignored, RULES, decoder.linears, ())
    assert not any("experts" in layer for layer in plan.schemes)
    half = {**q.FP8, "ignore": ["lm_head", "re:.*experts.*up_proj"]}
    with pytest.raises(Refused, match="QUANT_FUSED"):
        read_plan(half, RULES, decoder.linears, ())


def test_dense_experts_are_named_for_the_engine() -> None:
    """Unless a config says otherwise, the engine takes experts for quantized whatever their tensors are."""
    linears = moe().decoder(moe().config).linears
    held = {f"{layer}.qweight" for layer in linears if "experts" not in layer}
    gptq = read_plan({**q.GPTQ, "group_size": -1}, RULES, linears, held)
    awq = read_plan({**q.AWQ, "group_size": 16}, RULES, linears, held)
    by_part = {"modules_to_not_convert": ["gate_proj", "up_proj", "down_proj"]}
    named = read_plan({**q.AWQ, "group_size": 16, **by_part}, RULES, linears, held)
    fp8 = read_plan({**q.FP8_HF, "modules_to_not_convert": [r".*\.mlp\..*"]}, RULES, linears, held)
    experts = "model.layers.1.mlp.experts"
    for plan in (gptq, awq, named, fp8):
        assert plan.config is not None
        assert not any("experts" in layer for layer in plan.schemes)
        assert read_plan(plan.config, RULES, linears, held).config == plan.config
    assert gptq.config is not None
    assert rf"-:{re.escape(experts)}$" in gptq.config["dynamic"]
    for plan in (awq, named):
        assert plan.config is not None
        assert experts in plan.config["modules_to_not_convert"]
    assert fp8.config is not None
    assert any(name.startswith(experts) for name in fp8.config["ignored_layers"])


@pytest.mark.parametrize("scheme", [q.W8A8, q.W4A16, q.FP8])
def test_cpu_has_no_kernel_for_quantised_experts(scheme: Json) -> None:
    linears = moe().decoder(moe().config).linears
    everywhere = {**scheme, "config_groups": _with_groups_of(scheme, 16)}
    plan = read_plan(everywhere, RULES, linears, ())
    found = {p.code for p in find_kernel_problems(plan, linears, Hardware("CPU"))}
    assert "KERNEL_MISSING" in found
    attention = read_plan({**everywhere, "ignore": ["re:.*mlp.*"]}, RULES, linears, ())
    left = find_kernel_problems(attention, linears, Hardware("CPU"))
    assert "KERNEL_MISSING" not in {p.code for p in left}


def _with_groups_of(scheme: Json, size: int) -> Json:
    """Return the scheme's groups with a size that divides these narrow layers."""
    (group,) = scheme["config_groups"].values()
    weights = dict(group["weights"])
    if weights.get("group_size"):
        weights["group_size"] = size
    return {"group_0": {**group, "weights": weights}}


def test_experts_in_one_tensor_are_left_alone_or_refused() -> None:
    base = model(config("GptOssForCausalLM", 1), ATTENTION | STACKED)
    decoder = base.decoder(base.config)
    with pytest.raises(Refused, match="QUANT_STACKED_EXPERTS"):
        read_plan(q.FP8, RULES, decoder.linears, ())
    plan = read_plan({**q.FP8, "ignore": ["re:.*experts.*"]}, RULES, decoder.linears, ())
    assert plan.schemes.keys() == {
        f"model.layers.0.self_attn.{name}_proj" for name in ("q", "k", "v", "o")
    }


def test_pattern_is_matched_against_the_engines_name() -> None:
    """gpt-oss: the checkpoint's ``self_attn`` is ``attn`` in the engine."""
    base = model(config("GptOssForCausalLM", 1), ATTENTION | STACKED)
    linears = base.decoder(base.config).linears
    layers = [layer for layer in linears if layer != "lm_head"]
    by_pattern = {**q.FP8, "ignore": ["re:.*experts.*", r"re:.*\.self_attn\..*"]}
    assert read_plan(by_pattern, RULES, linears, ()).schemes.keys() == set(layers)
    by_name = {**q.FP8, "ignore": ["re:.*experts.*", *layers]}
    assert read_plan(by_name, RULES, linears, ()).schemes == {}


def test_quantised_router_is_explained(tmp_path: Path) -> None:
    from grader.checkpoint.check import _explain

    decoder = moe().decoder(moe().config)
    plan = read_plan(q.FP8, RULES, decoder.linears, ())
    table = expected_tensors(decoder, plan.schemes)
    held = [
        Tensor(name, sorted(e.dtypes)[0], e.shapes[0], 0)
        for name, e in table.items()
        if not e.optional
    ]
    held.append(Tensor("model.layers.1.mlp.gate.weight_scale", "BF16", (4, 1), 0))
    (found,) = _explain(find_tensor_problems(table, held), plan, decoder)
    assert (found.code, found.where) == ("QUANT_ALWAYS_DENSE", "model.layers.1.mlp.gate")


def test_layers_that_only_predict_ahead_may_stay_or_go() -> None:
    base = model(config("DeepseekV3ForCausalLM", 1), DENSE, DENSE | {"eh_proj.weight": (64, 128)})
    table = dense_tensors(base.decoder(base.config))
    assert table["model.layers.1.eh_proj.weight"].optional
    assert not table["model.layers.0.mlp.up_proj.weight"].optional


@pytest.mark.parametrize(
    ("of", "around", "why"),
    [
        (config("LlamaForCausalLM", 2), AROUND, "num_hidden_layers is 2"),
        (config("LlamaForCausalLM", 1), {}, "input embedding"),
    ],
)
def test_config_and_headers_that_do_not_fit(of: Json, around: Shapes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        model(of, DENSE, around=around)


def test_table_of_tensors_stands_for_the_weights(tmp_path: Path) -> None:
    contest = tiny_contest(tmp_path)
    headers = base_headers(contest.base_folder)
    assert {t.name: t.shape for t in headers.tensors} == SHAPES
    by_weights = base_architecture(contest)
    write_table(contest.base_folder / "tensors.json", headers)
    (contest.base_folder / "model.safetensors").unlink()
    assert base_headers(contest.base_folder) == headers
    by_table = base_architecture(contest)
    assert dense_tensors(by_table.decoder(CONFIG)) == dense_tensors(by_weights.decoder(CONFIG))


@pytest.mark.parametrize("text", ["[]", "{", '{"files": {}, "tensors": {"a": "X9 [1]"}}'])
def test_damaged_table_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "tensors.json").write_text(text)
    with pytest.raises(ValueError, match=r"tensors\.json"):
        base_headers(tmp_path)


def test_committed_table_is_the_published_files(tmp_path: Path) -> None:
    headers = base_headers(contests.CONTESTS / "aimers8")
    assert sum(tensor.size_bytes for tensor in headers.tensors) == 2_558_782_976
    assert headers.files == {"model.safetensors": 2_558_821_288}
    write_table(tmp_path / "tensors.json", Headers(headers.files, headers.tensors))
    committed = contests.CONTESTS / "aimers8" / "tensors.json"
    assert (tmp_path / "tensors.json").read_text() == committed.read_text()


def test_what_the_engine_serves() -> None:
    assert {"LlamaForCausalLM", "Exaone4ForCausalLM", "GptOssForCausalLM"} <= served()
    assert find_obstacle("LlamaForCausalLM") == ""
    assert find_obstacle("MadeUpForCausalLM") == "?"
    assert engine_layers("MadeUpForCausalLM").fused == {}


def held_by(decoder: Decoder) -> list[Tensor]:
    table = dense_tensors(decoder).items()
    return [Tensor(n, sorted(e.dtypes)[0], e.shapes[0], 0) for n, e in table if not e.optional]


def test_layers_in_another_order_than_the_configs_list() -> None:
    base = moe()
    held = held_by(base.decoder(base.config))
    other = base.config | {"mlp_layer_types": ["sparse", "dense", "sparse"]}
    found = find_tensor_problems(dense_tensors(base.decoder(other)), held)
    assert {(p.code, *p.where.split(".")[2:4]) for p in found} == {
        (code, layer, "mlp")
        for code in ("WEIGHTS_MISSING", "WEIGHTS_UNEXPECTED")
        for layer in ("0", "1")
    }


def test_layers_that_kept_their_numbers_after_one_was_dropped() -> None:
    base = moe()
    held = [t for t in held_by(base.decoder(base.config)) if ".layers.1." not in t.name]
    kept = base.config | {"num_hidden_layers": 2, "mlp_layer_types": ["dense", "sparse"]}
    (found,) = find_tensor_problems(dense_tensors(base.decoder(kept)), held)
    assert (found.code, found.where, found.detail) == (
        "WEIGHTS_LAYER_NUMBERS",
        "model.layers.*",
        "0, 2",
    )


def test_layers_that_predict_ahead_are_no_gap() -> None:
    """DeepSeek numbers them on from the others; they may stay or go, and only the others are counted."""
    ahead = DENSE | {"eh_proj.weight": (64, 128)}
    base = model(config("DeepseekV3ForCausalLM", 1), DENSE, ahead)
    held = held_by(base.decoder(base.config))
    table = dense_tensors(base.decoder(base.config))
    held += [
        Tensor(n, "BF16", e.shapes[0], 0)
        for n, e in table.items()
        if n.startswith("model.layers.1.")
    ]
    assert find_tensor_problems(table, held) == []
    (missing,) = find_tensor_problems(table, [t for t in held if "layers.0.mlp.down" not in t.name])
    assert (missing.code, missing.where) == (
        "WEIGHTS_MISSING",
        "model.layers.0.mlp.down_proj.weight",
    )
