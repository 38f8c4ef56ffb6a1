"""The contests over published models: their files load, or say what brings the headers that they need."""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from grader import contest as contests
from grader.checkpoint import find_problems
from grader.checkpoint.base import Headers, read_table
from grader.checkpoint.contest_faults import find_contest_faults
from grader.contest import CONTESTS, Contest
from grader.protocol.documents import Tensor
from leaderboard.contests import lm_eval_tasks, loading
from tests import hub_server

HERE = ("qwen3-0.6b", "gpt-oss-20b")  # Apache 2.0: config and header table are committed
ON_HUB = ("gemma3-1b", "exaone4-32b")  # gated, or for research: prefetch brings them
Json = dict[str, Any]

GEMMA: Json = {
    "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "head_dim": 256,
    "hidden_size": 1152, "intermediate_size": 6912, "max_position_embeddings": 32768,
    "num_attention_heads": 4, "num_hidden_layers": 26, "num_key_value_heads": 1, "rms_norm_eps": 1e-06,
    "sliding_window": 512, "sliding_window_pattern": 6, "torch_dtype": "bfloat16", "vocab_size": 262144,
}  # fmt: skip
EXAONE: Json = {
    "architectures": ["Exaone4ForCausalLM"], "model_type": "exaone4", "head_dim": 128,
    "hidden_size": 5120, "intermediate_size": 27392,
    "layer_types": ["full_attention" if i % 4 == 3 else "sliding_attention" for i in range(64)],
    "max_position_embeddings": 131072, "num_attention_heads": 40, "num_hidden_layers": 64,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "sliding_window": 4096,
    "sliding_window_pattern": "LLLG", "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    "vocab_size": 102400,
}  # fmt: skip


def sparse(path: Path, tensors: list[Tensor]) -> None:
    """A safetensors file of full size that holds its header and takes no room."""
    end, header = 0, {}
    for tensor in tensors:
        offsets = [end, end + tensor.size_bytes]
        header[tensor.name] = {
            "dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": offsets
        }  # fmt: skip
        end = offsets[1]
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + end)


def model(config: Json) -> list[Tensor]:
    """The tensors of a dense decoder with normalized queries and keys, as the two families publish them."""
    hidden, inner, size = (config[k] for k in ("hidden_size", "intermediate_size", "head_dim"))
    queries, keys = (size * config[f"num_{k}_heads"] for k in ("attention", "key_value"))
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden)
    }
    if config.get("tie_word_embeddings") is False:
        shapes["lm_head.weight"] = (config["vocab_size"], hidden)
    norms = ["post_attention_layernorm", "post_feedforward_layernorm"]
    if config is GEMMA:
        norms += ["input_layernorm", "pre_feedforward_layernorm"]
    for i in range(config["num_hidden_layers"]):
        layer: dict[str, tuple[int, ...]] = {
            "self_attn.q_proj": (queries, hidden), "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden), "self_attn.o_proj": (hidden, queries),
            "self_attn.q_norm": (size,), "self_attn.k_norm": (size,),
            "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner), **dict.fromkeys(norms, (hidden,)),
        }  # fmt: skip
        shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()}
    shapes["model.norm.weight"] = (hidden,)
    return [Tensor(n, "BF16", s, 2 * math.prod(s)) for n, s in sorted(shapes.items())]


def run(name: str, *options: str) -> None:
    call_command("loadcontest", name, *options)


def facts(contest: Contest) -> Headers:
    return read_table(contest.base_folder / "tensors.json")


@pytest.mark.django_db
@pytest.mark.parametrize("name", HERE)
def test_a_contest_with_its_table_loads(name):
    contest, _ = loading.load(name)
    rules, table = contest.rules, facts(contest.rules)
    assert rules.unpinned == ()
    assert sum(table.files.values()) == rules.base_model.safetensors_bytes
    header_bytes = sum(table.files.values()) - sum(t.size_bytes for t in table.tensors)
    assert 60 * len(table.tensors) < header_bytes < 140 * len(table.tensors)
    assert all(lm_eval_tasks.is_known(b.task, rules) for b in rules.benchmarks)


@pytest.mark.parametrize("name", HERE)
def test_its_base_model_passes_the_check(name, tmp_path):
    contest = contests.load(contests.find(name))
    shutil.copyfile(contest.base_folder / "config.json", tmp_path / "config.json")
    sparse(tmp_path / "model.safetensors", list(facts(contest).tensors))
    findings = find_problems(tmp_path, contest)
    assert findings.problems == ()
    known = {"qwen3-0.6b": "bf16", "gpt-oss-20b": "MXFP4"}
    assert findings.facts.scheme == known[name]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ON_HUB)
def test_a_contest_without_its_table_names_the_command_that_brings_it(name):
    with pytest.raises(CommandError) as caught:
        run(name)
    assert "BASE_CONFIG" in str(caught.value)
    assert f"manage.py prefetch {name} --headers" in str(caught.value)


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "config"), zip(ON_HUB, (GEMMA, EXAONE), strict=True))
def test_prefetch_headers_makes_it_load(name, config, tmp_path, settings):
    shutil.copyfile(CONTESTS / f"{name}.toml", tmp_path / f"{name}.toml")
    shutil.copytree(CONTESTS / "aimers8" / "tasks", tmp_path / "aimers8" / "tasks")
    settings.CONTEST_ROOTS = [tmp_path]
    contest = contests.load(tmp_path / f"{name}.toml")
    published = tmp_path / "published"
    published.mkdir()
    (published / "config.json").write_text(json.dumps(config), "utf-8")
    sparse(published / "model.safetensors", model(config))
    with hub_server.serve() as hub:
        hub.add(contest.base_model.id, published, contest.base_model.revision)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        subprocess.run(
            [sys.executable, "-m", "grader.assets.prefetch", name, "--headers"],
            env=environment | {"HF_ENDPOINT": hub.url, "GRADER_CONTESTS": str(tmp_path)},
            check=True, timeout=120,
        )  # fmt: skip
        assert sum(request.sent_bytes for request in hub.requests) < 300_000
    run(name)
    rules = contests.load(tmp_path / f"{name}.toml")
    assert sum(facts(rules).files.values()) == rules.base_model.safetensors_bytes
    assert list(find_contest_faults(rules)) == []
    assert find_problems(published, rules).problems == ()


@pytest.mark.parametrize("name", [*HERE, *ON_HUB])
def test_participants_read_both_languages(name):
    contest = contests.load(contests.find(name))
    for page in ("rules.md", "rules.ko.md"):
        text = (CONTESTS / name / page).read_text("utf-8")
        assert contest.base_model.id in text and contest.hardware.name in text
        for benchmark in contest.benchmarks:
            assert benchmark.title("ko" if page.endswith(".ko.md") else "en") in text


def test_the_largest_is_spread_over_gpus_that_hold_it_twice():
    contest = contests.load(contests.find("exaone4-32b"))
    room = contest.engine.tensor_parallel * contest.hardware.memory_bytes
    assert 2 * contest.base_model.safetensors_bytes < contest.engine.gpu_memory_utilization * room
