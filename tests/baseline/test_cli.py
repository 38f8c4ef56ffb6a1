from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from baseline.commands import compress
from baseline.terminal import output
from baseline.terminal.errors import Exit
from tests.baseline.conftest import CONFIG, ROOT

HEAVY = {"torch", "transformers", "llmcompressor", "vllm", "lm_eval", "datasets", "django", "celery",
         "httpx", "numpy", "leaderboard"}  # fmt: skip


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip


def test_starting_loads_nothing_heavy():
    code = "import sys, baseline.cli; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    assert not HEAVY & set(python("-c", code).stdout.split())


def test_help_is_quick_and_names_the_exit_codes():
    times_s = []
    for _ in range(5):
        before = os.times()
        help_text = python("-m", "baseline", "--help").stdout
        after = os.times()
        used = (after.children_user - before.children_user) + (
            after.children_system - before.children_system
        )
        times_s.append(used)
    assert "2 wrong usage" in " ".join(help_text.split())
    assert min(times_s) < 0.5  # of CPU time, best of five, because the machine may be busy


@pytest.mark.parametrize(
    "command",
    ["recipes", "compress", "inspect", "check", "package", "login", "logout", "submit", "status", "board",
     "measure", "sample", "history"],
)  # fmt: skip
def test_every_command_has_help_and_json(command, run):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert "--json" in out


@pytest.mark.parametrize("arguments", [["compress"], ["nonsense"], ["recipes", "--nonsense"]])
def test_wrong_usage_is_exit_2_and_one_line(arguments, run):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    code, out, _ = run(*arguments, "--json")
    assert (code, json.loads(out)["error"]["code"]) == (2, "USAGE")


@pytest.mark.parametrize("name", ["first-entry.md", "first-entry.ko.md"])
def test_every_exit_code_is_documented(name):
    text = (ROOT / "docs" / name).read_text("utf-8")
    assert re.findall(r"^\| (\d+) \|", text, re.M) == [str(int(code)) for code in Exit]


def test_recipes_lists_and_shows(run):
    code, out, _ = run("recipes", "--lang", "ko")
    assert code == 0 and "w4a16-gptq" in out and "운영진" in out
    code, out, _ = run("recipes", "w4a16-gptq")
    assert code == 0 and "dampening: 0.01" in out
    code, out, _ = run("recipes", "--json")
    listed = [each["name"] for each in json.loads(out)["recipes"]]
    page = (ROOT / "baseline" / "recipes" / "README.md").read_text("utf-8").split("\n## ")[0]
    assert sorted(listed) == sorted(re.findall(r"^\| `([\w-]+)` \|", page, re.M))


def test_colour_is_left_out_when_asked(tmp_path):
    wrong = ("-m", "baseline", "package", str(tmp_path), "-o", "x")
    assert "\x1b[" in python(*wrong, FORCE_COLOR="1").stderr
    assert "\x1b[3" not in python(*wrong, FORCE_COLOR="1", NO_COLOR="1").stderr


def test_compress_refuses_before_it_needs_anything_heavy(checkpoint, run, tmp_path):
    output = tmp_path / "out"
    code, _, err = run("compress", "-r", "w4a16-gptq", "-m", checkpoint, "-o", output)
    assert (code, "GROUP_SIZE_DOES_NOT_FIT" in err) == (2, True)
    output.mkdir()
    code, _, err = run("compress", "-r", "w8a8-rtn", "-m", checkpoint, "-o", output)
    assert (code, "OUTPUT_EXISTS" in err) == (2, True)
    for place in (checkpoint, tmp_path, checkpoint / "out"):
        code, _, err = run("compress", "-r", "w8a8-rtn", "-m", checkpoint, "-o", place, "-f")
        assert (code, "OUTPUT_IS_SOURCE" in err) == (2, True)
    code, _, err = run("compress", "-r", "w8a8-rtn", "-m", tmp_path / "none", "-o", output, "-f")
    assert (code, "MODEL_NOT_FOUND" in err) == (2, True)


def test_an_interrupt_is_a_document_too(run, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("baseline.compression.recipe.names", interrupted)
    code, out, err = run("recipes", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (130, "INTERRUPTED")
    code, out, err = run("recipes")
    assert (code, out, "nothing half-done" in err) == (130, "", True)


def test_a_command_to_copy_is_quoted_for_the_shell(capsys):
    output.use_json(False)
    compress._show({"output": "my [/dim] out", "safetensors_bytes": 1, "base_safetensors_bytes": 2})
    captured = capsys.readouterr()
    assert "my [/dim] out  1 bytes" in captured.out
    assert "baseline check 'my [/dim] out' --contest ID" in captured.err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[1]", "MODEL_CONFIG_UNREADABLE"),
        ('{"hidden_size": "x"}', "MODEL_NOT_A_DECODER"),
        (json.dumps(CONFIG | {"num_attention_heads": 0}), "MODEL_NOT_A_DECODER"),
        (json.dumps(CONFIG | {"head_dim": "x"}), "MODEL_NOT_A_DECODER"),
        (json.dumps(CONFIG | {"architectures": 5}), "MODEL_NOT_A_DECODER"),
    ],
)
def test_a_config_that_is_no_models_is_wrong_usage(checkpoint, run, tmp_path, text, code):
    (checkpoint / "config.json").write_text(text)
    command = ("compress", "-r", "w8a8-rtn", "-m", checkpoint, "-o", tmp_path / "out", "-c", "demo")
    found, _, err = run(*command)
    assert (found, code in err) == (2, True)
