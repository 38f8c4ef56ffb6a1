"""``measure`` and ``sample`` as participants run them: a checkpoint of the real llmcompressor, a real vLLM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import pytest

from tests.baseline.conftest import ROOT

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
