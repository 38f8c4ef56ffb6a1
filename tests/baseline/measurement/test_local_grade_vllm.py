"""``measure`` and ``sample`` as participants run them: a checkpoint of the real llmcompressor, a real vLLM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import pytest
from django.core.management import call_command

from tests.baseline.conftest import ROOT
from tests.matrix import grid

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]


@pytest.fixture
def baseline(tmp_path):
    with tempfile.TemporaryDirectory(prefix="pb-") as scratch:  # sockets need a short path
        environment = os.environ | {
            "XDG_STATE_HOME": str(tmp_path / "state"), "GRADER_SCRATCH": scratch,
            "GRADER_CACHE": str(tmp_path / "cache"), "LANG": "C.UTF-8",
        }  # fmt: skip

        def call(*arguments):
            return subprocess.run(
                [sys.executable, "-m", "baseline", *map(str, arguments)], cwd=ROOT, env=environment,
                capture_output=True, text=True, check=False,
            )  # fmt: skip

        yield call
        assert os.listdir(scratch) in ([], ["lock"])  # engines and folders are gone


def test_a_checkpoint_is_scored_at_home_and_remembered(compressed, baseline):
    folder = compressed["w8a8-rtn"].folder
    done = baseline("measure", folder, "-c", "demo", "--quick", "--no-rank", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.split()[:3] == ["fetch", "check", "load"], done.stderr
    document = json.loads(done.stdout)
    terms = {term["name"]: term for term in document["terms"]}
    assert document["quick"] and document["scheme"] == "W8A8"
    assert {b["name"]: b["questions"] for b in document["benchmarks"]} == {
        "gsm8k": 40,
        "choice": 40,
        "fresh": 40,
    }
    assert 0.8 < terms["accuracy"]["value"] < 1.2
    assert terms["memory"]["value"] == pytest.approx(0.4688, abs=0.01)
    assert [shape["rounds"] for shape in document["speed"]] == [4, 4]
    assert document["score"] == pytest.approx(sum(term["points"] for term in document["terms"]))
    (kept,) = json.loads(baseline("history", "--json").stdout)["measurements"]
    assert (kept["number"], kept["score"]) == (1, document["score"])


def test_both_models_say_something_side_by_side(compressed, baseline):
    folder = compressed["w8a8-rtn"].folder
    done = baseline("sample", folder, "-c", "demo", "--tokens", "24", "--json")
    assert done.returncode == 0, done.stderr
    (sample,) = json.loads(done.stdout)["samples"]
    assert sample["base"] and sample["candidate"]


def drafted(name, folder):
    """(a tiny model of this family, a contest over it as an organizer drafts it)."""
    grid.make(folder, [name])
    base, contest = folder / name / grid.BASE, folder / f"contest-{name}"
    call_command(
        "newcontest", "--base", str(base), "--gpu", "cpu", "--id", name, "--out", str(contest)
    )
    return base, contest


def test_a_family_that_fuses_its_layers_is_measured_in_a_drafted_contest(baseline, tmp_path):
    base, contest = drafted("phi3", tmp_path)
    done = baseline("measure", base, "-c", contest, "--quick", "--no-rank", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    terms = {term["name"]: term["value"] for term in document["terms"]}
    assert (terms["accuracy"], terms["memory"]) == (1.0, 0.0)
    assert [shape["rounds"] for shape in document["speed"]] == [4, 4]


def test_experts_say_something_beside_themselves(baseline, tmp_path):
    base, contest = drafted("qwen3-moe", tmp_path)
    done = baseline("sample", base, "-c", contest, "--tokens", "8", "--json")
    assert done.returncode == 0, done.stderr
    samples = json.loads(done.stdout)["samples"]
    assert len(samples) == 3
    # Models that were never trained may answer with the end, but not always
    assert any(sample["base"] for sample in samples)
    assert any(sample["candidate"] for sample in samples)
