"""The committed table of the engine's layers against the engine that is installed."""

from __future__ import annotations

import json

import pytest

from grader.checkpoint.engine_layers import TABLE
from grader.worker.engine import architectures


@pytest.mark.vllm
def test_table_is_what_the_installed_engine_does() -> None:
    """Otherwise: ``python -m grader.worker.engine.architectures`` writes it anew."""
    made = architectures.generate()
    committed = json.loads(TABLE.read_text("utf-8"))
    assert made["vllm"] == committed["vllm"]
    assert made["architectures"].keys() == committed["architectures"].keys()
    for name, entry in made["architectures"].items():
        assert (name, entry) == (name, committed["architectures"][name])
    assert architectures.dump(committed) == TABLE.read_text("utf-8")
