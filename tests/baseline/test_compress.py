"""The recipes on a real (random, tiny) EXAONE-4 with the real llmcompressor, in its own environment."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time

import pytest

from baseline import recipe
from tests.baseline.conftest import HERE, ROOT

pytestmark = pytest.mark.compress

# Largest relative error of the logits on a random model; pruning is not an approximation of it.
ERROR = {"w8a8": 0.15, "fp8": 0.3, "w4a16": 0.9}


@pytest.fixture
def compress(compress_python, tiny_model, tmp_path):
    def call(name, *options, output=None, model=tiny_model):
        output = output or tmp_path / "out"
        done = compress_python(
            "-m", "baseline", "compress", "--recipe", name, "--model", model, "--output", output,
            "--data", tiny_model.parent / "data.jsonl", "--samples", 4, "--seq-length", 32,
            "--contest", "demo", "--json", *options, check=False,
        )  # fmt: skip
        return done, json.loads(done.stdout), output

    return call


@pytest.mark.parametrize("name", recipe.names())
def test_a_recipe_makes_a_whole_checkpoint(name, compress, compress_python, tiny_model, run):
    done, document, output = compress(name)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "it/s" not in done.stderr
    config = json.loads((output / "config.json").read_text())
    base = json.loads((tiny_model / "config.json").read_text())
    layers = 2 if name.startswith("prune") else 3
    assert (config["num_hidden_layers"], len(config["layer_types"])) == (layers, layers)
    changed = {key for key in config.keys() | base.keys() if config.get(key) != base.get(key)}
    expected = {"quantization_config"}
    assert changed == expected | ({"num_hidden_layers", "layer_types"} if layers == 2 else set())
    assert config["quantization_config"]["quant_method"] == "compressed-tensors"
    record = json.loads((output / "compression.json").read_text())
    assert record["safetensors_bytes"] == (output / "model.safetensors").stat().st_size
    assert record["recipe"]["name"] == name == recipe.load(str(output / "recipe.yaml")).name
    assert record["versions"]["llmcompressor"] == document["versions"]["llmcompressor"]
    assert bool(record["data"]) == recipe.load(name).needs_data
    names = {t["name"] for t in json.loads(run("inspect", output, "--json")[1])["tensors"]}
    assert "lm_head.weight" not in names
    assert not any(n.startswith(f"model.layers.{layers}.") for n in names)
    probe = json.loads(
        compress_python(HERE / "probe.py", tiny_model, output).stdout.splitlines()[-1]
    )
    assert probe["tied"]
    limit = next((v for k, v in ERROR.items() if k in name), 1.0) if layers == 3 else 1.5
    assert probe["error"] < limit
    passes_the_graders_checks(output, tiny_model)


def passes_the_graders_checks(output, base):
    """Against a contest whose base model is the tiny one."""
    checkpoint = pytest.importorskip("grader.checkpoint")
    import dataclasses

    from grader.contest import CONTESTS, find, parse

    path = find("demo")
    contest = parse(path.read_text(), path.parent)
    assert path.is_relative_to(CONTESTS)
    contest = dataclasses.replace(
        contest,
        base_model=dataclasses.replace(
            contest.base_model,
            folder=str(base),
            safetensors_bytes=(base / "model.safetensors").stat().st_size,
        ),
    )
    found = checkpoint.find_problems(output, contest)
    assert list(found.problems) == []


def test_the_same_run_gives_the_same_bytes(compress, tmp_path):
    first = compress("smoothquant-w8a8", output=tmp_path / "one")[2]
    second = compress("smoothquant-w8a8", output=tmp_path / "two")[2]
    for name in ("model.safetensors", "config.json", "recipe.yaml"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_smoothing_is_exact(compress_python, tiny_model):
    done = compress_python(HERE / "smooth_probe.py", tiny_model)
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "v_o": {"equal": True, "changed": True},
        "up_down": {"equal": True, "changed": True},
    }


@pytest.mark.parametrize(("sign", "code"), [("SIGINT", 130), ("SIGTERM", 130)])
def test_interrupted_it_leaves_nothing(sign, code, compress_python, tiny_model, tmp_path):
    child = subprocess.Popen(
        [compress_python.python, "-m", "baseline", "compress", "-r", "w8a8-gptq", "-m", tiny_model,
         "-o", tmp_path / "out", "--data", tiny_model.parent / "data.jsonl", "--seq-length", "64"],
        env=compress_python.environment, cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in child.stderr:
        if "Quantising" in line:
            break
    time.sleep(1)
    child.send_signal(getattr(signal, sign))
    _, rest = child.communicate(timeout=60)
    assert child.returncode == code
    assert "nothing half-done" in rest and "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []


def test_group_size_is_used(compress, run):
    done, _, output = compress("w4a16-rtn", "--group-size", "64")
    assert done.returncode == 0
    assert json.loads(run("inspect", output, "--json")[1])["scheme"] == "W4A16 g64"


def test_weights_that_are_damaged_are_one_line_and_leave_nothing(compress, tiny_model, tmp_path):
    damaged = shutil.copytree(tiny_model, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"\x10" * 100)
    done, document, output = compress("w8a8-rtn", model=damaged)
    assert (done.returncode, document["error"]["code"]) == (2, "MODEL_UNREADABLE")
    assert "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["damaged"] or not output.exists()
