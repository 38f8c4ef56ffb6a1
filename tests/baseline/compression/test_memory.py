from __future__ import annotations

import json

import pytest

from baseline.checkpoint.contests import rules
from baseline.compression import memory, recipe

EXAONE = json.loads((rules("aimers8").base_folder / "config.json").read_text())
BYTES = 2_558_821_288


def test_the_lectures_recipe_needs_the_model_one_layers_hessians_and_the_activations():
    needed = memory.needed_bytes(recipe.load("w4a16-gptq"), EXAONE, BYTES)
    hessians = 4 * (6 * 2048**2 + 4096**2)
    activations = 4 * 256 * 512 * 2048
    assert needed == memory.RUNTIME_BYTES + BYTES + hessians + activations
    assert needed < 5_000_000_000


def test_rounding_needs_the_model_only():
    needed = memory.needed_bytes(recipe.load("w8a8-rtn"), EXAONE, BYTES)
    assert needed == memory.RUNTIME_BYTES + BYTES


@pytest.mark.parametrize(
    ("limit", "used", "expected"), [("max", "5", 8000 * 1024), ("5000000", "1000000", 4000000)]
)
def test_a_containers_limit_counts_where_it_is_less(tmp_path, monkeypatch, limit, used, expected):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    8000 kB\n")
    (tmp_path / "limit").write_text(limit)
    (tmp_path / "used").write_text(used)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUPS", ((tmp_path / "limit", tmp_path / "used"),))
    assert memory.available_bytes() == expected


def test_too_little_is_said_before_anything_is_loaded(run, monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "available_bytes", lambda: 100_000_000)
    base = rules("demo").base_folder
    code, _, err = run("compress", "-r", "w8a8-gptq", "-m", base, "-o", tmp_path / "out")
    assert (code, "MEMORY_TOO_SMALL" in err, "--samples" in err) == (4, True, True)
    assert list(tmp_path.glob("out*")) == []


def test_this_machine_has_some():
    assert memory.available_bytes() > 1_000_000
