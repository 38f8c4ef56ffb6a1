"""config.json: what counts as equal, what is refused, what is graded."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader import contest as contests
from grader.checkpoint.check import base_config
from grader.checkpoint.config import (
    Shape,
    canonical_config,
    find_config_notices,
    find_config_problems,
)
from grader.contest import Contest
from grader.problems.catalogue import CATALOGUE
from tests.checkpoints import CONFIG, tiny_contest

Json = dict[str, Any]


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    return tiny_contest(tmp_path_factory.mktemp("contest"))


def codes(contest: Contest, base: Json = CONFIG, **changes: Any) -> list[str]:
    return [p.code for p in find_config_problems(base | changes, base, contest)]


def test_base_is_its_own_canonical_config(contest: Contest) -> None:
    assert codes(contest) == []
    assert canonical_config(CONFIG, CONFIG, contest) == CONFIG


def test_the_real_base_as_two_generations_of_transformers_write_it() -> None:
    contest = contests.load(contests.find("aimers8"))
    base = base_config(contest)
    later = {
        k: v for k, v in base.items() if k not in ("rope_theta", "rope_scaling", "torch_dtype")
    }
    later |= {
        "dtype": "bfloat16",
        "rope_parameters": base["rope_scaling"] | {"rope_theta": base["rope_theta"]},
        "sliding_window_pattern": 0,
        "transformers_version": "5.17.0",
        "attention_dropout": 0.0,
    }
    assert find_config_problems(later, base, contest) == []
    assert canonical_config(later, base, contest) == base
    later["rope_parameters"] = later["rope_parameters"] | {"factor": 8.0}
    assert [p.code for p in find_config_problems(later, base, contest)] == ["CONFIG_FIXED_KEY"]


@pytest.mark.parametrize(
    "same",
    [
        {"sliding_window_pattern": 0},
        {"attention_dropout": 0.0},
        {"mlp_bias": False},
        {"pretraining_tp": 1},
        {"head_dim": 32},
        {"head_dim": None},
        {"layer_types": None},
        {"quantization_config": None},
        {"torch_dtype": "bfloat16", "dtype": "bfloat16"},
        {"torch_dtype": None, "dtype": "bfloat16"},
        {"dtype": None},
        {"_attn_implementation_autoset": True},
        {"unsloth_version": "2026.1.1", "unsloth_fixed": True},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
        {"rope_scaling": {"type": "default"}},
    ],
)
def test_other_spellings_of_the_same(same: Json, contest: Contest) -> None:
    assert codes(contest, **same) == []
    changed = canonical_config(CONFIG | same, CONFIG, contest)
    assert Shape.of(changed) == Shape.of(CONFIG)
    assert {k: v for k, v in changed.items() if k != "head_dim"} == CONFIG


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"vocab_size": 95}, "CONFIG_FIXED_KEY"),
        ({"mlp_bias": True}, "CONFIG_FIXED_KEY"),
        ({"head_dim": 16}, "CONFIG_FIXED_KEY"),
        ({"hidden_size": 1 << 40}, "CONFIG_RANGE"),
        ({"intermediate_size": 257}, "CONFIG_RANGE"),
        ({"num_hidden_layers": True}, "CONFIG_TYPE"),
        ({"rms_norm_eps": "1e-5"}, "CONFIG_TYPE"),
        ({"max_position_embeddings": 512}, "CONFIG_RANGE"),
        ({"num_hidden_layers": 1}, "CONFIG_LAYER_TYPES"),
        ({"layer_types": []}, "CONFIG_LAYER_TYPES"),
        ({"torch_dtype": None}, "CONFIG_RANGE"),
        ({"torch_dtype": "float16", "dtype": "bfloat16"}, "CONFIG_INCONSISTENT"),
        ({"_attn_implementation_autoset": "evil/kernel"}, "CONFIG_FORBIDDEN_KEY"),
        ({"unsloth_version": True}, "CONFIG_UNKNOWN_KEY"),
        ({"anything": 1}, "CONFIG_UNKNOWN_KEY"),
        ({"rope_theta": 10000.0, "rope_parameters": {"rope_theta": 5.0}}, "CONFIG_FIXED_KEY"),
        ({"rope_theta": 5.0, "rope_parameters": {"rope_theta": 10000.0}}, "CONFIG_FIXED_KEY"),
        ({"rope_scaling": 3}, "CONFIG_FIXED_KEY"),
        ({"architectures": "Exaone4ForCausalLM"}, "CONFIG_ARCHITECTURE"),
    ],
)
def test_refused(changes: Json, expected: str, contest: Contest) -> None:
    assert codes(contest, **changes) == [expected]


def test_pruned_model_keeps_the_rest(contest: Contest) -> None:
    pruned = CONFIG | {
        "num_hidden_layers": 1,
        "layer_types": ["full_attention"],
        "intermediate_size": 64,
        "eos_token_id": 9,
    }
    assert find_config_problems(pruned, CONFIG, contest) == []
    graded = canonical_config(pruned, CONFIG, contest)
    assert graded == CONFIG | {
        "num_hidden_layers": 1,
        "layer_types": ["full_attention"],
        "intermediate_size": 64,
    }


def test_layer_types_follow_when_left_out(contest: Contest) -> None:
    pruned = {k: v for k, v in CONFIG.items() if k != "layer_types"} | {"num_hidden_layers": 1}
    assert find_config_problems(pruned, CONFIG, contest) == []
    assert canonical_config(pruned, CONFIG, contest)["layer_types"] == ["full_attention"]


def test_which_layers_remain_must_be_said_when_they_differ(contest: Contest) -> None:
    base = CONFIG | {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 64}
    pruned = {k: v for k, v in base.items() if k != "layer_types"} | {"num_hidden_layers": 1}
    assert [p.code for p in find_config_problems(pruned, base, contest)] == ["CONFIG_LAYER_TYPES"]
    assert codes(contest, base, num_hidden_layers=1, layer_types=["full_attention"]) == []


def test_notice_only_for_values_that_would_have_mattered(contest: Contest) -> None:
    quiet = CONFIG | {
        "transformers_version": "9",
        "use_cache": False,
        "_name_or_path": "/home/me",
        "eos_token_id": 1,
    }
    assert find_config_notices(quiet, CONFIG, contest) == []
    (notice,) = find_config_notices(
        CONFIG | {"eos_token_id": [1, 2], "pad_token_id": 5}, CONFIG, contest
    )
    assert notice.detail == "eos_token_id, pad_token_id"


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"a": v}, lambda v: [{"b": [v]}]])
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("auto_map", "CONFIG_REMOTE_CODE"),
        ("_attn_implementation", "CONFIG_FORBIDDEN_KEY"),
        ("text_config", "CONFIG_FORBIDDEN_KEY"),
    ],
)
def test_selectors_at_any_depth(
    wrap: Callable[[Any], Any], key: str, expected: str, contest: Contest
) -> None:
    assert codes(contest, quantization_config={"x": wrap({key: 1})}) == [expected]


_leaf = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
_any = st.recursive(
    _leaf,
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(
    changes=st.dictionaries(
        st.sampled_from([*CONFIG, "head_dim", "dtype", "rope_parameters", "new"]), _any, max_size=3
    )
)
def test_any_values_give_codes_or_a_config(changes: Json, contest: Contest) -> None:
    config = copy.deepcopy(CONFIG) | changes
    found = [p.code for p in find_config_problems(config, CONFIG, contest)]
    assert set(found) <= CATALOGUE.keys()
    find_config_notices(config, CONFIG, contest)
    if not found:
        shape = Shape.of(canonical_config(config, CONFIG, contest))
        assert shape.layers <= 2
        assert shape.hidden == 128


def test_unusable_base_is_the_organisers_mistake(tmp_path: Path) -> None:
    contest = tiny_contest(tmp_path)
    (contest.base_folder / "config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config\.json"):
        base_config(contest)
