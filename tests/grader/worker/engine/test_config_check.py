"""The settings an engine reports are compared with the intended ones."""

from __future__ import annotations

import json

import pytest

from grader.worker.engine import config_check

START = (
    "(EngineCore pid=7) INFO [core.py:134] Initializing a V1 LLM engine (v0.33.0) with config: model='/m', "
    "speculative_config={draft}, tokenizer='/t', trust_remote_code={remote}, load_format={format}, "
    "quantization={method}, quantization_config=None, kv_cache_dtype=bfloat16\n"
)
AS_MEANT = {"draft": "None", "remote": "False", "format": "safetensors", "method": "None"}


@pytest.fixture
def checkpoint(tmp_path):
    def write(method=None):
        config = {"quantization_config": {"quant_method": method}} if method else {}
        (tmp_path / "config.json").write_text(json.dumps(config))
        return tmp_path

    return write


def line(**differs):
    return START.format(**AS_MEANT | differs).encode()


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (None, "None"),
        ("compressed-tensors", "compressed-tensors"),
        ("gptq", "auto_gptq"),
        ("awq", "awq_marlin"),
        ("fp8", "fp8"),
        ("mxfp4", "mxfp4"),
    ],
)
def test_an_engine_that_did_as_it_was_told(checkpoint, method, said):
    assert config_check.find_deviation(line(method=said), checkpoint(method)) == ""


@pytest.mark.parametrize(
    ("method", "differs", "told"),
    [
        ("fp8", {"method": "modelopt"}, "quantization=modelopt, not fp8"),
        ("gptq", {"method": "inc"}, "quantization=inc, not gptq or gptq_marlin or auto_gptq"),
        (None, {"method": "online"}, "quantization=online, not None"),
        ("compressed-tensors", {"method": "None"}, "quantization=None, not compressed-tensors"),
        (None, {"draft": "SpeculativeConfig(model='x')"}, "speculative_config=SpeculativeConfig"),
        (None, {"remote": "True"}, "trust_remote_code=True, not False"),
        (None, {"format": "auto"}, "load_format=auto, not safetensors"),
    ],
)
def test_a_setting_that_the_checkpoint_took_over_is_named(checkpoint, method, differs, told):
    assert told in config_check.find_deviation(line(**differs), checkpoint(method))


def test_an_engine_that_says_nothing_is_believed(checkpoint):
    assert config_check.find_deviation(b"", checkpoint("fp8")) == ""


def test_garbage_is_cut(checkpoint):
    found = config_check.find_deviation(line(method="x" * 9000), checkpoint())
    assert len(found) < 100
