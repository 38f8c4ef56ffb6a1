"""Which files of a folder make up its checkpoint."""

from __future__ import annotations

import pytest

from grader.checkpoint.layout import PACKED_WEIGHTS, is_read, packed_names

FOLDER = [
    "config.json", "model-1.safetensors", "model-2.safetensors", "old.safetensors", "tokenizer.json",
    "._model-1.safetensors", "README.md", "train.py",
]  # fmt: skip


def test_config_and_all_weights_without_an_index():
    weights = ["model-1.safetensors", "model-2.safetensors", "old.safetensors"]
    assert packed_names(FOLDER) == ["config.json", *weights]


def test_the_index_decides_which_weights():
    found = packed_names([*FOLDER, "model.safetensors.index.json"], ["model-2.safetensors"])
    assert found == ["config.json", "model-2.safetensors", "model.safetensors.index.json"]


def test_an_adapter_is_packed_to_be_refused_with_a_reason():
    assert packed_names(["adapter_model.safetensors"]) == ["adapter_model.safetensors"]
    assert not is_read("adapter_model.safetensors")


@pytest.mark.parametrize("syntax", ["(?", "\\A", "\\Z", "(?P"])
def test_the_pattern_means_the_same_in_javascript(syntax):
    assert syntax not in PACKED_WEIGHTS
