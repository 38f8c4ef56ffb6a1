"""Anything that would keep all entries from being checked or measured is found in advance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from grader import contest as contests
from grader.checkpoint.base import Headers, write_table
from grader.checkpoint.contest_faults import find_contest_faults
from grader.contest import CONTESTS, Contest
from grader.gallery.tiny import contest_source, tiny_contest


def codes(contest: Contest) -> list[tuple[str, str]]:
    return [(fault.code, fault.where) for fault in find_contest_faults(contest)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_contest(tmp_path)
    return tmp_path


def contest_in(folder: Path, *changes: tuple[str, str]) -> Contest:
    source = contest_source()
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return contests.parse(source, folder)


@pytest.mark.parametrize("name", ["demo", "aimers8"])
def test_bundled_contests_have_none(name: str) -> None:
    assert codes(contests.load(contests.find(name))) == []


def test_sound_contest_has_none(folder: Path) -> None:
    assert codes(contest_in(folder)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('"Exaone4ForCausalLM"', '"MadeUpForCausalLM"'), "ARCHITECTURE_UNKNOWN"),
        (('"Exaone4ForCausalLM"', '"Qwen3_5ForCausalLM"'), "ARCHITECTURE_NEEDS"),
        (('"Exaone4ForCausalLM"', '"LlamaForCausalLM"'), "ARCHITECTURE_DIFFERS"),
    ],
)
def test_architecture(folder: Path, change: tuple[str, str], fault: str) -> None:
    assert (fault, "base_model.architecture") in codes(contest_in(folder, change))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            ('metric = "acc,none"', 'metric = "acc,none", max_gen_toks = 1024'),
            ("NO_ROOM_FOR_PROMPT", "benchmarks[0].max_gen_toks"),
        ),
        (
            ("output_tokens = 8", "output_tokens = 1017"),
            ("SHAPE_TOO_LONG", "speed.shapes[0].input_tokens"),
        ),
    ],
)
def test_lengths(folder: Path, change: tuple[str, str], fault: tuple[str, str]) -> None:
    assert codes(contest_in(folder, change)) == [fault]


def test_lengths_that_just_fit(folder: Path) -> None:
    answers = ('metric = "acc,none"', 'metric = "acc,none", max_gen_toks = 1023')
    assert codes(contest_in(folder, answers, ("output_tokens = 8", "output_tokens = 1016"))) == []


@pytest.mark.parametrize(("gpus", "fits"), [(1, True), (2, True), (3, False)])
def test_attention_heads_are_shared_out_evenly(folder: Path, gpus: int, fits: bool) -> None:
    contest = contest_in(folder, ("[engine]", f"[engine]\ntensor_parallel = {gpus}"))
    found = [] if fits else [("HEADS_NOT_SHARED_OUT", "engine.tensor_parallel")]
    assert codes(contest) == found


def no_config(base: Path) -> None:
    (base / "config.json").unlink()


def no_weights(base: Path) -> None:
    (base / "model.safetensors").unlink()


def another_table(base: Path) -> None:
    write_table(base / "tensors.json", Headers({}, ()))


def cut_off(base: Path) -> None:
    (base / "model.safetensors").write_bytes(b"\0" * 20)


def more_layers(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))


def empty_table(base: Path) -> None:
    no_weights(base)
    another_table(base)


def no_template(base: Path) -> None:
    (base / "chat_template.jinja").unlink()


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (no_config, ("BASE_CONFIG", "base_model.folder")),
        (no_weights, ("BASE_HEADERS", "base_model.folder")),
        (another_table, ("BASE_TABLE_DIFFERS", "base_model.folder")),
        (cut_off, ("BASE_UNREADABLE", "base_model.folder")),
        (more_layers, ("BASE_UNREADABLE", "base_model.folder")),
        (empty_table, ("BASE_UNREADABLE", "base_model.folder")),
        (no_template, ("NO_CHAT_TEMPLATE", "benchmarks[0].apply_chat_template")),
    ],
)
def test_base_folder(folder: Path, spoil: Callable[[Path], None], fault: tuple[str, str]) -> None:
    spoil(folder / "base_model")
    assert codes(contest_in(folder)) == [fault]


def test_template_that_nobody_wants_need_not_be_there(folder: Path) -> None:
    no_template(folder / "base_model")
    plain = ('metric = "acc,none"', 'metric = "acc,none", apply_chat_template = false')
    assert codes(contest_in(folder, plain)) == []


def test_contest_without_its_own_files_yet_waits_for_prefetch() -> None:
    """The folder of a Hub model: its config and its table. ``prefetch`` adds the tokenizer."""
    assert not (CONTESTS / "aimers8" / "tokenizer_config.json").exists()
