"""Compares the committed table of the engine's layers with the installed engine."""

from __future__ import annotations

import json

import pytest

from grader.checkpoint.engine_layers import TABLE
from grader.worker.engine import architectures


@pytest.mark.vllm
def test_table_is_what_the_installed_engine_does() -> None:
    """If this fails, run ``python -m grader.worker.engine.architectures`` to regenerate the table."""
    made = architectures.generate()
    committed = json.loads(TABLE.read_text("utf-8"))
    assert made["vllm"] == committed["vllm"]
    assert made["architectures"].keys() == committed["architectures"].keys()
    for name, entry in made["architectures"].items():
        assert (name, entry) == (name, committed["architectures"][name])
    assert architectures.dump(committed) == TABLE.read_text("utf-8")
