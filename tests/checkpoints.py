"""Tiny base models, contests and checkpoints for tests (the gallery's workbench), and large sparse files."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path

from grader import contest as contests
from grader.checkpoint.base import base_architecture, base_config
from grader.checkpoint.tensors import dense_tensors
from grader.contest import Contest
from grader.gallery.case import Bench
from grader.gallery.tiny import (
    CONFIG,
    Raw,
    checkpoint,
    contest_source,
    header,
    safetensors,
    tiny_contest,
    weights,
)

__all__ = [
    "CONFIG",
    "Bench",
    "Raw",
    "checkpoint",
    "experts_contest",
    "header",
    "safetensors",
    "tiny_contest",
    "weights",
    "write_full_size",
    "write_random_safetensors",
    "write_sparse",
]


def write_full_size(folder: Path, contest: Contest) -> Path:
    """The contest's base model in bf16 as a sparse file: the real header over gigabytes that take no space."""
    config = (contest.base_folder / "config.json").read_bytes()
    table = dense_tensors(base_architecture(contest).decoder(base_config(contest)))
    shapes = {name: e.shapes[0] for name, e in table.items() if not e.optional}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_bytes(config)
    return write_sparse(folder / "model.safetensors", shapes)


def write_sparse(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Path:
    """A safetensors file of bf16 tensors: a real header over data that takes no space."""
    entries, at = {}, 0
    for name, shape in shapes.items():
        end = at + 2 * math.prod(shape)
        entries[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, end]}
        at = end
    head = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + at)
    return path


def experts_contest(folder: Path) -> Contest:
    """A contest over a model of 30 layers with 128 experts each: 19 billion parameters in a sparse file."""
    hidden, inner, experts, vocabulary = 2048, 768, 128, 151_936
    layer = {
        "self_attn.q_proj": (4096, hidden),
        "self_attn.k_proj": (512, hidden),
        "self_attn.v_proj": (512, hidden),
        "self_attn.o_proj": (hidden, 4096),
        "self_attn.q_norm": (128,),
        "self_attn.k_norm": (128,),
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
        "mlp.gate": (experts, hidden),
        **{
            f"mlp.experts.{e}.{n}_proj": (inner, hidden)
            for e in range(experts)
            for n in ("gate", "up")
        },
        **{f"mlp.experts.{e}.down_proj": (hidden, inner) for e in range(experts)},
    }
    shapes = {f"model.layers.{i}.{n}.weight": s for i in range(30) for n, s in layer.items()}
    shapes |= {f"{n}.weight": (vocabulary, hidden) for n in ("model.embed_tokens", "lm_head")}
    config = {
        "architectures": ["Qwen3MoeForCausalLM"],
        "model_type": "qwen3_moe",
        "num_hidden_layers": 30,
        "hidden_size": hidden,
        "intermediate_size": 6144,
        "moe_intermediate_size": inner,
        "num_experts": experts,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "vocab_size": vocabulary,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    base = folder / "base_model"
    base.mkdir(parents=True)
    (base / "config.json").write_text(json.dumps(config))
    write_sparse(base / "model.safetensors", shapes | {"model.norm.weight": (hidden,)})
    return contests.parse(contest_source(architecture='"Qwen3MoeForCausalLM"'), folder)


def write_random_safetensors(path: Path, size_bytes: int) -> Path:
    """Real data: bf16 tensors of 16 MiB each with finite random values."""
    block = bytearray(os.urandom(16 * 1024**2))
    block[1::2] = b"\x3c" * (len(block) // 2)
    count = size_bytes // len(block)
    entries = {
        f"t{i}": {
            "dtype": "BF16",
            "shape": [len(block) // 2],
            "data_offsets": [i * len(block), (i + 1) * len(block)],
        }
        for i in range(count)
    }
    head = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for _ in range(count):
            file.write(block)
    return path
