from __future__ import annotations

import pytest

from baseline.compression import recipe
from baseline.terminal.errors import CliError


@pytest.mark.parametrize("name", recipe.names())
def test_every_shipped_recipe_is_valid_and_survives_its_own_yaml(name, tmp_path):
    loaded = recipe.load(name)
    assert loaded.name == name
    assert loaded.about("ko") != loaded.about("en")
    copy = tmp_path / "copy.yaml"
    copy.write_text(recipe.as_yaml(loaded), "utf-8")
    assert recipe.load(str(copy)) == loaded


def test_the_reference_is_the_lectures_script():
    reference = recipe.load("w4a16-gptq")
    assert (reference.data.samples, reference.data.seq_length) == (256, 512)
    gptq = reference.quantiser
    assert (gptq.scheme, gptq.group_size, gptq.dampening, gptq.actorder) == (
        "W4A16",
        128,
        0.01,
        "static",
    )
    assert any("embed_tokens" in pattern for pattern in gptq.ignore)
    assert "lm_head" in gptq.ignore


def test_data_is_needed_only_where_something_is_measured():
    assert not recipe.load("w8a8-rtn").needs_data
    assert not recipe.load("fp8-dynamic").needs_data
    assert recipe.load("w8a8-rtn", ["rtn.scheme=FP8"]).needs_data  # static activation scales
    assert recipe.load("prune-w8a8").needs_data


def test_set_reaches_steps_data_and_seed():
    changed = recipe.load(
        "w4a16-gptq", ["gptq.dampening=0.05", "data.skip=512", "seed=7", "group_size=64"]
    )
    assert changed.quantiser.dampening == 0.05
    assert changed.quantiser.group_size == 64
    assert (changed.data.skip, changed.seed) == (512, 7)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("gptq.damping=0.1", "unknown key; expected one of: actorder, block_size, dampening"),
        ("gptq.dampening=high", "expected float, found str"),
        ("gptq.dampening=7", "must be between 1e-06 and 1"),
        ("gptq.scheme=W3A16", "is not one of W4A16"),
        ("awq.grid=3", "has no 'awq' to set"),
        ("samples", "key=value"),
        ("data.samples=0", "at least 1"),
        ("group_size=-3", "cannot be negative"),
        ("seed=-1", "between 0 and 4294967295"),
        ("seed=99999999999", "between 0 and 4294967295"),
        ('gptq.ignore=["re:*lm_head"]', "'re:*lm_head' is no regular expression"),
        ('gptq.targets=["re:("]', "'re:(' is no regular expression"),
        ("seed=2020-13-45", "is not a value"),
    ],
)
def test_a_wrong_override_is_named(override, words):
    with pytest.raises(CliError) as caught:
        recipe.load("w4a16-gptq", [override])
    assert words in caught.value.message
    assert caught.value.exit_code == 2


def test_a_per_channel_scheme_takes_no_group_size():
    with pytest.raises(CliError, match="takes no group size"):
        recipe.load("w8a8-gptq", ["group_size=64"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "not valid YAML"),
        (
            "schema: 2\nname: x\nabout: {en: a, ko: b}\nsteps: [{rtn: {scheme: W8A8}}]",
            "reads schema 1",
        ),
        ("schema: 1\nname: x\nabout: {en: a, ko: b}\nsteps: []", "at least one step"),
        ("schema: 1\nname: x\nabout: {en: a, ko: b}\nsteps: [{}]", "exactly one of"),
        (
            "schema: 1\nname: x\nabout: {en: a, ko: b}\n"
            "steps: [{rtn: {scheme: W8A8}}, {smooth: {}}]",
            "only the last step can quantise",
        ),
        ("just words", "expected a table"),
        ("schema: 2020-13-45", "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_reason(text, words, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(CliError) as caught:
        recipe.load(str(path))
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps: [null]", "steps[0]: expected a table"),
        ("steps: 5", "steps: expected a list"),
        ("steps: [{gptq: W4A16}]", "steps[0].gptq: expected a table"),
        ("steps: [{rtn: {scheme: W8A8}}]\ndata: null", "data: expected a table"),
    ],
)
@pytest.mark.parametrize("override", ["gptq.dampening=0.1", "group_size=64", "data.samples=8"])
def test_a_wrong_file_is_named_before_it_is_changed(text, words, override, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("schema: 1\nname: x\nabout: {en: a, ko: b}\n" + text)
    with pytest.raises(CliError) as caught:
        recipe.load(str(path), [override])
    assert caught.value.code == "RECIPE_INVALID" and words in caught.value.message
    with pytest.raises(CliError, match="expected a list"):
        recipe.load("w8a8-gptq", ["steps=5", override])


def test_an_unknown_name_lists_the_known():
    with pytest.raises(CliError) as caught:
        recipe.load("w2a2")
    assert "w4a16-gptq" in caught.value.hint
