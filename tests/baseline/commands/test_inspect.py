from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from grader import contest as rules
from tests import hub_server
from tests.baseline.conftest import ROOT, write_safetensors
from tests.checkpoints import write_full_size

AIMERS8 = rules.load(rules.find("aimers8"))


@pytest.fixture
def hub() -> Iterator[hub_server.Hub]:
    with hub_server.serve() as server:
        yield server


@pytest.fixture
def far(hub, tmp_path):
    """``far("inspect", "org/name")``: a separate process, because the client reads its settings on import."""

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "LANG": "C.UTF-8",
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, "-m", "baseline", *map(str, arguments)],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return call


def test_it_says_where_the_bytes_are(checkpoint, run):
    code, out, _ = run("inspect", checkpoint, "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["parts"]["embedding"] == {"bytes": 16, "tensors": 1, "dtypes": ["BF16"]}
    assert facts["parts"]["scales"]["bytes"] == 8
    assert facts["tied"] is True
    code, out, _ = run("inspect", checkpoint, "--tensors")
    assert code == 0 and "model.layers.0.mlp.up_proj.weight_scale" in out


def test_a_second_copy_of_the_embedding_is_what_could_be_saved(checkpoint, run):
    head = {"lm_head.weight": ("BF16", [4, 2], bytes(16))}
    write_safetensors(checkpoint / "head.safetensors", head)
    facts = json.loads(run("inspect", checkpoint, "--json")[1])
    assert facts["tied"] is False
    assert [(s["name"], s["bytes"]) for s in facts["savings"]] == [("duplicate_head", 16)]
    _, out, _ = run("inspect", checkpoint, "--lang", "ko")
    assert "아무것도 잃지 않고" in out and "−16" in out


def test_the_memory_term_of_a_contest(tmp_path, run):
    write_full_size(tmp_path / "full", AIMERS8)
    code, out, _ = run("inspect", tmp_path / "full", "-c", "aimers8", "--json")
    facts = json.loads(out)
    assert code == 0
    size = facts["safetensors_bytes"]
    assert facts["memory_term"] == 1 - size / AIMERS8.base_model.safetensors_bytes
    assert facts["memory_weight"] == AIMERS8.formula.memory


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, b"\x05\0\0\0\0\0\0\0{bad}", b"version https://git-lfs"]
)
def test_a_damaged_file_is_said_by_name(checkpoint, content, run):
    (checkpoint / "model.safetensors").write_bytes(content)
    code, _, err = run("inspect", checkpoint)
    assert (code, err.startswith("ST_"), "→" in err) == (1, True, True)
    assert "model.safetensors" in err


def test_a_problem_is_told_in_the_language_asked_for(checkpoint, run):
    (checkpoint / "model.safetensors").write_bytes(b"")
    sentences = {lang: run("inspect", checkpoint, "--lang", lang)[2] for lang in ("en", "ko")}
    assert ["does not start" in sentences[lang] for lang in ("en", "ko")] == [True, False]


def test_a_config_that_is_no_json_is_one_line(checkpoint, run):
    (checkpoint / "config.json").write_text("{,}")
    code, _, err = run("inspect", checkpoint)
    assert (code, "CHECKPOINT_WITHOUT_CONFIG" in err, "Traceback" in err) == (2, True, False)


def test_a_repository_is_read_from_headers_alone(hub, far, tmp_path, run):
    weights = write_full_size(tmp_path / "full", AIMERS8)
    repo = hub.add("LGAI-EXAONE/EXAONE-4.0-1.2B", tmp_path / "full")
    done = far("inspect", "LGAI-EXAONE/EXAONE-4.0-1.2B", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["revision"] == repo.commit
    assert facts["safetensors_bytes"] == weights.stat().st_size > 2_500_000_000
    assert sum(request.sent_bytes for request in hub.requests) < 300_000
    here = json.loads(run("inspect", tmp_path / "full", "--json")[1])
    differing = {key for key in here if here[key] != facts[key]}
    assert differing == {"path", "revision"}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("org/none",), 2, "MODEL_NOT_FOUND"),
        (("org/gated",), 3, "HUB_GATED"),
        (("org/empty",), 2, "MODEL_WITHOUT_WEIGHTS"),
        (("org/damaged",), 1, "ST_HEADER"),
        (("org/empty", "--revision", "no-such"), 2, "HUB_REVISION_UNKNOWN"),
    ],
)
def test_a_repository_that_cannot_be_read(hub, far, tmp_path, arguments, exit_code, code):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("{}")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{}")
    (damaged / "model.safetensors").write_bytes(b"\x00" * 100)
    hub.add("org/empty", tmp_path / "empty")
    hub.add("org/gated", tmp_path / "empty", gated=True)
    hub.add("org/damaged", damaged)
    done = far("inspect", *arguments)
    assert done.returncode == exit_code, done.stderr
    assert code in done.stderr and "→" in done.stderr and "Traceback" not in done.stderr


def test_a_hub_out_of_reach(far, hub):
    hub.shutdown()
    hub.server_close()
    done = far("inspect", "org/name", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (3, "HUB_UNREACHABLE")


def test_a_model_from_the_hub_comes_without_code_and_readme(hub, tmp_path):
    """What ``compress`` and ``measure`` download: config, weights, tokenizer; no code."""
    folder = tmp_path / "model"
    write_full_size(folder, AIMERS8).write_bytes(b"weights")
    for name in ("tokenizer.json", "modeling_evil.py", "README.md"):
        (folder / name).write_text("{}")
    hub.add("org/name", folder)
    code = (
        "import os; from baseline.compression.model_source import Source; s = Source('org/name');"
        "print(s.weight_bytes(), *sorted(os.listdir(s.folder())))"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.stdout.split() == ["7", "config.json", "model.safetensors", "tokenizer.json"], (
        done.stderr
    )
