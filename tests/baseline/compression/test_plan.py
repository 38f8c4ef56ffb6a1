from __future__ import annotations

import dataclasses
import json

import pytest
import yaml

from baseline.checkpoint.contests import rules
from baseline.compression import plan, recipe
from baseline.terminal.errors import CliError
from grader.checkpoint.architecture import Linears
from grader.checkpoint.engine_layers import EngineLayers
from tests.baseline.conftest import CONFIG


def refused(recipe_name, config, contest=None, overrides=()):
    with pytest.raises(CliError) as caught:
        plan.check(recipe.load(recipe_name, list(overrides)), config, contest)
    return caught.value


def test_a_group_size_that_does_not_divide_is_told_with_those_that_do(config):
    error = refused("w4a16-gptq", config)
    assert error.code == "GROUP_SIZE_DOES_NOT_FIT"
    assert "128 does not divide the width 192" in error.message
    assert error.hint.startswith("Use --group-size 64 (these divide every width: 64, 32, 16)")


def test_the_offered_group_size_is_accepted(config):
    assert plan.check(recipe.load("w4a16-gptq", ["group_size=64"]), config) == []


def test_layers_that_are_ignored_need_not_fit(config):
    config["intermediate_size"] = 500
    ignore = 'gptq.ignore=[lm_head, "re:.*down_proj"]'
    assert plan.check(recipe.load("w4a16-gptq", ["group_size=64", ignore]), config) == []
    assert (
        refused("w4a16-gptq", config, overrides=["group_size=64"]).message.count("down_proj") == 1
    )


def test_a_group_size_without_a_fast_kernel_is_a_warning(config):
    (warning,) = plan.check(recipe.load("w4a16-rtn", ["group_size=16"]), config)
    assert "no fast kernel" in warning


def test_no_group_size_fits(config):
    config["intermediate_size"] = 509
    assert "8-bit recipe" in refused("w4a16-rtn", config).hint


def test_the_real_model_takes_the_reference(config):
    config |= {"hidden_size": 2048, "intermediate_size": 4096, "num_attention_heads": 32}
    assert plan.check(recipe.load("w4a16-gptq"), config, rules("aimers8")) == []


def test_a_quantised_model_is_not_quantised_again(config):
    config["quantization_config"] = {"quant_method": "gptq"}
    assert refused("w8a8-rtn", config).code == "MODEL_ALREADY_QUANTISED"


def test_a_tied_head_must_be_ignored(config):
    error = refused("w8a8-rtn", config, overrides=["rtn.ignore=[]"])
    assert error.code == "TIED_HEAD_QUANTISED"


@pytest.mark.parametrize(("layers", "fits"), [(2, True), (3, False)])
def test_pruning_leaves_first_and_last(config, layers, fits):
    overrides = [f"prune_layers.layers={layers}"]
    if fits:
        assert plan.check(recipe.load("prune-w8a8", overrides), config) == []
    else:
        assert refused("prune-w8a8", config, overrides=overrides).code == "TOO_MANY_LAYERS_PRUNED"


def twice(first, second):
    """A recipe that prunes in two steps, each with its own number of layers to keep."""
    about = "schema: 1\nname: twice\nabout: {en: a, ko: b}\nsteps:\n"
    return recipe.parse(
        yaml.safe_load(about + f"- prune_layers: {first}\n- prune_layers: {second}")
    )


def test_pruning_in_several_steps_is_summed_and_leaves_a_layer(config):
    none_kept = "keep_first: 0, keep_last: 0"
    assert plan.check(twice("{layers: 1}", "{layers: 1}"), config) == []
    assert plan.check(twice("{layers: 2}", f"{{layers: 1, {none_kept}}}"), config) == []
    for first, second in (
        ("{layers: 2}", "{layers: 1}"),
        ("{layers: 2}", f"{{layers: 2, {none_kept}}}"),
        ("{layers: 1}", f"{{layers: 3, {none_kept}}}"),
    ):
        with pytest.raises(CliError) as caught:
            plan.check(twice(first, second), config)
        assert caught.value.code == "TOO_MANY_LAYERS_PRUNED"


def test_sequences_longer_than_the_model_reads(config):
    config["max_position_embeddings"] = 256
    assert "--seq-length 256" in refused("w8a8-gptq", config).hint
    assert plan.check(recipe.load("w8a8-rtn"), config) == []  # no data, no length


def test_activations_that_the_engine_leaves_in_16_bits_are_a_warning(config):
    overrides = ["rtn.scheme=W4A8", "rtn.group_size=64"]
    activations, *_ = plan.check(recipe.load("w8a8-rtn", overrides), config, rules("aimers8"))
    assert "runs like W4A16. (NVIDIA L4: W4A8 g64)" in activations


def on(name, capability):
    """The real contest, graded on another GPU."""
    contest = rules("aimers8")
    hardware = dataclasses.replace(contest.hardware, name=name, compute_capability=capability)
    return dataclasses.replace(contest, hardware=hardware)


def test_a_gpu_from_before_its_kernels(config):
    error = refused("w8a8-rtn", config, on("P100", 6.0))
    assert error.code == "SCHEME_NOT_ON_GPU"
    assert "6.0 < 7.5" in error.message


@pytest.mark.parametrize(("name", "capability"), [("T4", 7.5), ("A100", 8.0)])
def test_what_runs_slowly_is_a_warning_in_the_checkers_words(config, name, capability):
    contest = on(name, capability)
    (warning,) = plan.check(recipe.load("fp8-dynamic"), config, contest)
    assert name in warning and f"{capability} < 8.9" in warning
    assert plan.check(recipe.load("w8a8-rtn"), config, contest) == []


def test_a_scheme_that_the_cpu_cannot_run(config):
    error = refused("w8a8-rtn", config, rules("demo"), ["rtn.scheme=W8A16", "rtn.group_size=64"])
    assert error.code == "SCHEME_NOT_ON_GPU"
    assert "FP8_DYNAMIC" in error.hint
    assert "W8A16" not in error.hint


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_that_ships_suits_both_contests(name):
    for contest in (rules("demo"), rules("aimers8")):
        config = json.loads((contest.base_folder / "config.json").read_text())
        plan.check(recipe.load(name), config, contest)


def test_the_contests_architecture(config):
    config["architectures"] = ["LlamaForCausalLM"]
    assert refused("w8a8-rtn", config, rules("demo")).code == "WRONG_ARCHITECTURE"


def test_pruning_where_the_contest_forbids_it(config):
    contest = rules("demo")
    fixed = dataclasses.replace(contest.checkpoint, config_may_differ=("quantization_config",))
    strict = dataclasses.replace(contest, checkpoint=fixed)
    assert refused("prune-w8a8", config, strict).code == "PRUNING_NOT_ALLOWED"


EXPERTS = {f"model.layers.0.mlp.experts.{e}.{n}_proj": (64, 128) for e in (0, 1) for n in "abc"}


@pytest.mark.parametrize(
    ("linears", "code"),
    [
        ({"model.layers.0.self_attn.qkv_proj": (64, 64)}, "SMOOTHING_NOT_FOR_MODEL"),
        (plan.usual_linears(CONFIG) | EXPERTS, "SMOOTHING_NOT_FOR_MODEL"),
    ],
)
def test_smoothing_is_refused_for_models_it_would_change(config, linears, code):
    with pytest.raises(CliError) as error:
        plan.check(recipe.load("smoothquant-w8a8"), config, linears=linears)
    assert error.value.code == code
    assert plan.check(recipe.load("w8a8-gptq"), config, linears=linears) == []


def test_smoothing_is_for_families_it_was_tried_with(config):
    config["architectures"] = ["OlmoForCausalLM"]  # clips q, k and v
    error = refused("smoothquant-w8a8", config)
    assert (error.code, "OlmoForCausalLM" in error.message) == ("SMOOTHING_NOT_FOR_MODEL", True)
    config["architectures"] = ["Olmo2ForCausalLM"]
    assert plan.check(recipe.load("smoothquant-w8a8"), config) == []


def test_awq_is_refused_where_only_some_layers_have_experts(config):
    """llmcompressor finds no mapping for such a model, once it is loaded."""
    mixed = plan.usual_linears(config) | EXPERTS
    with pytest.raises(CliError) as error:
        plan.check(recipe.load("awq-w4a16", ["group_size=64"]), config, linears=mixed)
    assert error.value.code == "AWQ_NOT_FOR_MODEL"
    assert plan.check(recipe.load("w4a16-gptq", ["group_size=64"]), config, linears=mixed) == []
    everywhere = {n.replace(".0.", f".{i}."): s for i in range(4) for n, s in EXPERTS.items()}
    sparse = plan.usual_linears(config) | everywhere
    assert plan.check(recipe.load("awq-w4a16", ["group_size=64"]), config, linears=sparse) == []


def test_experts_on_a_cpu_are_refused_before_the_model_is_loaded(config):
    linears = plan.usual_linears(config) | EXPERTS
    contest = rules("demo")
    with pytest.raises(CliError) as error:
        plan.check(recipe.load("w8a8-rtn"), config, contest, linears)
    assert error.value.code == "SCHEME_NOT_ON_GPU"
    assert "re:.*experts" in error.value.hint
    ignore = 'rtn.ignore=[lm_head, "re:.*embed_tokens", "re:.*experts.*"]'
    assert plan.check(recipe.load("w8a8-rtn", [ignore]), config, contest, linears) == []


def test_layers_without_attention_are_not_dropped(config):
    linears = {"model.layers.0.self_attn.o_proj": (64, 64), "model.layers.1.mixer.in": (64, 64)}
    with pytest.raises(CliError) as error:
        plan.check(recipe.load("prune-w8a8"), config, linears=linears)
    assert error.value.code == "PRUNING_NOT_FOR_MODEL"


def test_group_size_has_to_divide_the_widths_of_this_model(config):
    narrow = plan.usual_linears(config) | {"model.layers.0.mlp.experts.0.down_proj": (64, 96)}
    with pytest.raises(CliError) as error:
        plan.check(recipe.load("w4a16-rtn", ["group_size=64"]), config, linears=narrow)
    assert error.value.code == "GROUP_SIZE_DOES_NOT_FIT"
    assert "mlp.experts.0.down_proj" in error.value.message


def test_routers_are_left_alone(config):
    router = plan.usual_linears(config) | {"model.layers.0.mlp.gate": (4, 100)}
    assert plan.check(recipe.load("w4a16-rtn", ["group_size=64"]), config, linears=router) == []


def test_experts_in_one_tensor_are_not_quantised(config):
    stacked = Linears(plan.usual_linears(config), EngineLayers(), ("model.layers.0.mlp.experts",))
    with pytest.raises(CliError) as error:
        plan.check(recipe.load("w8a8-rtn"), config, linears=stacked)
    assert error.value.code == "EXPERTS_IN_ONE_TENSOR"
    assert plan.check(recipe.load("w8a8-rtn"), config, linears=dict(stacked)) == []
