"""manage.py newcontest over random models of several families: it loads, and the base model passes."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from grader import contest as contests
from leaderboard.contests import loading
from tests.matrix import grid

pytestmark = [pytest.mark.compress, pytest.mark.django_db]

# Name -> its references on an L4. Experts in one tensor are quantized by no recipe.
USUAL = ["w8a8-gptq", "w4a16-gptq", "fp8-dynamic"]
FAMILIES = {
    "llama": USUAL,
    "qwen3": USUAL,
    "gemma3": USUAL,
    "exaone4": USUAL,
    "exaone4-hybrid": USUAL,
    "smollm3": USUAL,  # run with transformers' code inside the engine
    "olmo2": USUAL,
    "gpt-oss": [],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    grid.make(folder, list(FAMILIES))
    return folder


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("gpu", ["L4", "cpu"])
def test_a_contest_over_the_family_loads_untouched(name, gpu, models, tmp_path):
    base, out = models / name / "base_model", tmp_path / name
    said = StringIO()
    # These models read 512 tokens.
    chosen = ("--benchmarks", "word-problems", "choose-solution")
    options = ("--base", base, "--id", name, "--gpu", gpu, "--out", out, *chosen, "--json")
    call_command("newcontest", *map(str, options), stdout=said)
    document = json.loads(said.getvalue())
    contest, _ = loading.load(document["file"])
    assert contest.pk == name
    rules = contests.load(document["file"])
    assert rules.engine.max_model_len == 512
    assert rules.base_model.safetensors_bytes == sum(
        path.stat().st_size for path in base.glob("*.safetensors")
    )
    if gpu == "L4":
        assert document["references"] == FAMILIES[name]
    checked = subprocess.run(
        [Path(sys.executable).with_name("baseline"), "check", base, "--contest", out / "contest.toml",
         "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(checked.stdout)["ok"], checked.stdout
