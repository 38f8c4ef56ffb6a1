"""A base model small enough to build in one millisecond, and checkpoints of any config with random weights."""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader import contest as contests
from grader.checkpoint.architecture import Architecture
from grader.checkpoint.quantization.plan import read_plan
from grader.checkpoint.safetensors import ITEM_BYTES
from grader.checkpoint.tensors import expected_tensors
from grader.contest import Contest
from grader.protocol.documents import Tensor

Json = dict[str, Any]
Files = dict[str, bytes]

CONFIG: Json = {
    "architectures": ["Exaone4ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "hidden_act": "silu",
    "hidden_size": 128,
    "intermediate_size": 256,
    "layer_types": ["full_attention", "full_attention"],
    "max_position_embeddings": 2048,
    "model_type": "exaone4",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "sliding_window": None,
    "sliding_window_pattern": None,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.54.0",
    "use_cache": True,
    "vocab_size": 96,
}

_LAYER = {
    "self_attn.q_proj": (128, 128),
    "self_attn.k_proj": (64, 128),
    "self_attn.v_proj": (64, 128),
    "self_attn.o_proj": (128, 128),
    "mlp.gate_proj": (256, 128),
    "mlp.up_proj": (256, 128),
    "mlp.down_proj": (128, 256),
    "self_attn.q_norm": (32,),
    "self_attn.k_norm": (32,),
    "post_attention_layernorm": (128,),
    "post_feedforward_layernorm": (128,),
}
# The tensors of a model of CONFIG.
SHAPES: dict[str, tuple[int, ...]] = {
    **{f"model.layers.{i}.{name}.weight": shape for i in (0, 1) for name, shape in _LAYER.items()},
    "model.norm.weight": (128,),
    "model.embed_tokens.weight": (96, 128),
}

ORGANISER: Files = {
    "tokenizer.json": b'{"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}\n',
    "tokenizer_config.json": b'{"tokenizer_class": "PreTrainedTokenizerFast"}\n',
    "chat_template.jinja": b"{% for m in messages %}{{ m.content }}{% endfor %}",
    "generation_config.json": b'{"bos_token_id": 0, "eos_token_id": 1}\n',
}

_TOML = """
schema = 1
id = "tiny"
timezone = "Asia/Seoul"
title = { en = "Tiny", ko = "작은 대회" }
summary = { en = "For tests.", ko = "시험용입니다." }
phases = [{ id = "open", title = { en = "Open", ko = "상시" }, start = 2026-01-01T00:00:00+09:00, end = 2036-01-01T00:00:00+09:00 }]
benchmarks = [{ id = "none", title = { en = "None", ko = "없음" }, task = "none", metric = "acc,none", weight = 1.0 }]

[base_model]
id = "paretoboard/tiny-exaone4"
architecture = "Exaone4ForCausalLM"
folder = "base_model"
safetensors_bytes = 500_000

[limits]
archive_bytes = 50_000_000
unpacked_bytes = 400_000_000
submissions_per_day = 3

[checkpoint]
config_may_differ = ["num_hidden_layers", "layer_types", "intermediate_size", "num_attention_heads", "num_key_value_heads",
    "max_position_embeddings", "dtype", "torch_dtype", "tie_word_embeddings", "quantization_config"]
config_ignored = ["transformers_version", "_name_or_path", "use_cache", "bos_token_id", "eos_token_id", "pad_token_id"]
quant_methods = ["compressed-tensors", "gptq", "awq", "fp8", "mxfp4"]

[hardware]
name = "NVIDIA L4"
compute_capability = 8.9

[engine]
max_model_len = 1024

[speed]
prompts = "none.jsonl"
shapes = [{ id = "one", title = { en = "One", ko = "하나" }, concurrency = 1, input_tokens = 8, output_tokens = 8, requests = 1, weight = 1.0 }]

[scoring]
formula = "f"
[scoring.formulas.f]
title = { en = "F", ko = "F" }
accuracy = 1.0
memory = 0.0
speed = 0.0
"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Raw:
    """A tensor with its bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


def tiny_contest(folder: Path, **replacements: str) -> Contest:
    """Write a contest around :data:`CONFIG` with its base model in ``folder / "base_model"``.

    Args:
        replacements: text to replace in its TOML, e.g. ``compute_capability="8.0"`` for a line ``key = value``.
    """
    base = folder / "base_model"
    base.mkdir(parents=True, exist_ok=True)
    for name, data in {**ORGANISER, **checkpoint(CONFIG)}.items():
        (base / name).write_bytes(data)
    return contests.parse(contest_source(**replacements), folder)


def contest_source(**replacements: str) -> str:
    """Return the contest's TOML with other values: ``compute_capability="8.0"`` for a line ``key = value``."""
    lines = []
    for line in _TOML.splitlines():
        key = line.partition(" =")[0]
        lines.append(f"{key} = {replacements[key]}" if key in replacements else line)
    return "\n".join(lines)


def tiny_architecture(vocab: int = 96) -> Architecture:
    """Return the structure of the base model: :data:`CONFIG` and :data:`SHAPES`."""
    shapes = SHAPES | {"model.embed_tokens.weight": (vocab, CONFIG["hidden_size"])}
    tensors = (Tensor(name, "BF16", shape, 0) for name, shape in shapes.items())
    return Architecture.of(CONFIG | {"vocab_size": vocab}, tensors)


def weights(config: Json, contest: Contest | None = None) -> dict[str, Raw]:
    """Return reproducible random finite weights for every tensor that ``config`` needs."""
    rules = (
        contest.checkpoint
        if contest
        else contests.CheckpointRules((), (), _METHODS, "ignore", "ignore")
    )
    decoder = tiny_architecture().decoder(_without_nulls(config))
    quantised = {f"{layer}.qweight" for layer in decoder.linears}
    plan = read_plan(config.get("quantization_config"), rules, decoder.linears, quantised)
    table = expected_tensors(decoder, plan.schemes)
    source = random.Random(0)
    tensors = {}
    for name, expected in table.items():
        layer, _, suffix = name.rpartition(".")
        if suffix == "weight_shape":
            tensors[name] = Raw("I64", (2,), struct.pack("<2q", *decoder.linears[layer]))
        elif not expected.optional:
            dtype = (
                "BF16" if "BF16" in expected.dtypes else sorted(expected.dtypes, reverse=True)[0]
            )
            tensors[name] = Raw(
                dtype, expected.shapes[0], _noise(source, dtype, expected.shapes[0])
            )
    return tensors


def _without_nulls(config: Json) -> Json:
    return CONFIG | {key: value for key, value in config.items() if value is not None}


_METHODS = ("compressed-tensors", "gptq", "awq", "fp8", "mxfp4")


def checkpoint(config: Json, contest: Contest | None = None, shards: int = 1) -> Files:
    """Write ``config.json`` and weights, sharded with an index if requested."""
    files = {"config.json": json.dumps(config, indent=2).encode()}
    tensors = weights(config, contest)
    if shards == 1:
        return files | {"model.safetensors": safetensors(tensors)}
    weight_map: dict[str, str] = {}
    for k in range(shards):
        name = f"model-{k + 1:05d}-of-{shards:05d}.safetensors"
        part = {n: t for i, (n, t) in enumerate(tensors.items()) if i % shards == k}
        files[name] = safetensors(part)
        weight_map |= dict.fromkeys(part, name)
    index = {
        "metadata": {"total_size": sum(len(t.data) for t in tensors.values())},
        "weight_map": weight_map,
    }
    return files | {"model.safetensors.index.json": json.dumps(index).encode()}


def header(tensors: Mapping[str, Raw]) -> Json:
    """Return the safetensors header for tensors stored one after the other."""
    at, result = 0, {}
    for name, tensor in tensors.items():
        end = at + len(tensor.data)
        result[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [at, end],
        }
        at = end
    return result


def safetensors(tensors: Mapping[str, Raw], head: bytes | None = None) -> bytes:
    """Return a safetensors file. ``head`` replaces the JSON of the header."""
    if head is None:
        head = json.dumps({"__metadata__": {"format": "pt"}, **header(tensors)}).encode()
    return struct.pack("<Q", len(head)) + head + b"".join(t.data for t in tensors.values())


def _noise(source: random.Random, dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return random values. The exponent of floats is fixed to keep all of them finite and small."""
    size = ITEM_BYTES[dtype]
    data = bytearray(source.randbytes(math.prod(shape) * size))
    if dtype in ("BF16", "F16", "F32", "F64"):
        data[size - 1 :: size] = b"\x3c" * math.prod(shape)
    elif dtype.startswith("F8"):
        data = data.translate(bytes(0x20 | (byte & 0x0F) for byte in range(256)))
    return bytes(data)
