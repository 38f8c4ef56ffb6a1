"""The values of a drafted contest file, derived from the base model, the GPU and the benchmarks."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from grader.checkpoint.architecture import per_layer_keys
from grader.contest import Hardware
from grader.schema import encode
from grader.text import Text
from leaderboard.contests.drafting import benchmarks, gpus
from leaderboard.contests.drafting.base import Base
from leaderboard.contests.drafting.benchmarks import Known
from leaderboard.contests.drafting.gpus import Machine

BASE_FOLDER = "base_model"
PROMPTS = "data/speed_prompts.jsonl"
LONGEST_TOKENS = 8192  # on a GPU; more costs KV cache and changes nothing for these benchmarks
LONGEST_ON_CPU_TOKENS = 2048
DAYS = 28
_MIB = 1 << 20

# Keys that compression changes; a contest allows those of them that the base model's config has.
_SHAPES = (
    "num_hidden_layers", "intermediate_size", "num_attention_heads", "num_key_value_heads",
    "max_position_embeddings",
)  # fmt: skip
_ALWAYS = ("dtype", "torch_dtype", "tie_word_embeddings", "quantization_config")
_IGNORED = [
    "transformers_version", "_name_or_path", "use_cache", "bos_token_id", "eos_token_id", "pad_token_id",
]  # fmt: skip
_SAMPLES = [
    "대한민국의 수도는 어디인가요? 한 문장으로 답하세요.",
    "Explain in two sentences why the sky is blue.",
    "A train leaves at 9:40 and arrives at 13:05. How long does the trip take?",
]


def longest_tokens(base: Base, machine: Machine) -> int:
    """``max_model_len``: the model's length, limited to what the machine should hold."""
    most = LONGEST_TOKENS if machine.is_gpu else LONGEST_ON_CPU_TOKENS
    return min(base.context_tokens, most)


def build(
    contest_id: str,
    base: Base,
    machine: Machine,
    chosen: Sequence[Known],
    references: list[dict[str, Any]],
    *,
    timezone: str,
    template: bool,
    tasks: str,
) -> dict[str, Any]:
    """Nested as the file is."""
    on_gpu = machine.is_gpu
    name = base.id.rpartition("/")[2]
    return {
        "schema": 1,
        "id": contest_id,
        "title": Text(f"{name} compression", f"{name} 경량화 대회"),
        "summary": Text(
            f"Make {name} smaller and faster without making it worse.",
            f"{name} 모델을 성능 저하 없이 더 작고 빠르게 만드세요.",
        ),
        "timezone": timezone,
        "tasks": tasks,
        "split_salt": secrets.token_hex(16),
        "sample_prompts": _SAMPLES,
        "base_model": {
            "id": base.id,
            "revision": base.revision,
            "architecture": base.architecture,
            "folder": BASE_FOLDER,
            "safetensors_bytes": base.weights_bytes,
        },
        "limits": _limits(base),
        "checkpoint": _checkpoint(base, machine.gpu),
        "hardware": encode(machine.gpu),
        "engine": _engine(longest_tokens(base, machine), machine),
        "benchmarks": benchmarks.tables(
            chosen, concurrency=128 if on_gpu else 16, template=template
        ),
        "speed": {
            "prompts": PROMPTS,
            **({} if on_gpu else _NOISY_MACHINE),
            "shapes": _shapes(longest_tokens(base, machine), on_gpu=on_gpu),
        },
        "aa": {} if on_gpu else {"every_hours": 0.0, "ratio_tolerance": 0.1, "base_time_tolerance": 0.5},
        "scoring": {
            "formula": "main",
            "repeats": "pooled",
            "confirm": 3,
            "formulas": {"main": _FORMULA},
        },
        "phases": [_phase(timezone)],
        "references": references,
    }  # fmt: skip


_FORMULA = {"title": Text("Score", "점수"), "accuracy": 0.5, "memory": 0.2, "speed": 0.3}
# For a CPU that does other work too: many short rounds, and a wide interval.
_NOISY_MACHINE = {
    "min_rounds": 20, "max_rounds": 80, "aim_half_width": 0.02, "max_half_width": 0.4,
    "warmup_rounds": 2, "max_warmup_rounds": 4, "warmup_tolerance": 0.1,
}  # fmt: skip


def _limits(base: Base) -> dict[str, int]:
    """A quarter more than the base model, so that saving it in another layout does not exceed the limit."""
    most = -(-base.weights_bytes * 5 // 4 // (64 * _MIB)) * 64 * _MIB
    return {"archive_bytes": most, "unpacked_bytes": most + 64 * _MIB, "submissions_per_day": 3}


def _checkpoint(base: Base, hardware: Hardware) -> dict[str, Any]:
    keys = [key for key in _SHAPES if key in base.config]
    keys += [key for key in per_layer_keys(base.config) if key not in keys]
    capability = hardware.compute_capability
    methods = ["compressed-tensors", "gptq", "awq", *(["fp8"] if capability >= 7.5 else [])]
    own = str((base.config.get("quantization_config") or {}).get("quant_method", ""))
    if own and own not in methods:
        methods.append(own)
    return {
        "config_may_differ": [*keys, *_ALWAYS],
        "config_ignored": _IGNORED,
        "quant_methods": methods,
    }


def _engine(longest: int, machine: Machine) -> dict[str, Any]:
    if not machine.is_gpu:
        batched = max(2048, longest)
        return {"max_model_len": longest, "max_num_seqs": 32, "max_num_batched_tokens": batched,
                "gpu_memory_utilization": 0.2}  # fmt: skip
    found = {"max_model_len": longest, "max_num_seqs": 256, "max_num_batched_tokens": 8192,
             "gpu_memory_utilization": gpus.SHARE}  # fmt: skip
    # bfloat16 arithmetic needs compute capability 8.0.
    if machine.count > 1:
        found["tensor_parallel"] = machine.count
    return found if machine.gpu.compute_capability >= 8.0 else {"dtype": "float16", **found}


def _shapes(longest: int, *, on_gpu: bool) -> list[dict[str, Any]]:
    """One request at a time, and many: both within the model's length."""
    read, written = (512, 256) if on_gpu else (64, 48)
    lengths = {
        "input_tokens": min(read, longest // 2),
        "output_tokens": min(written, longest // 4),
    }
    one, many = (16, (32, 256)) if on_gpu else (1, (16, 16))
    return [
        {"id": "latency", "title": Text("One at a time", "단일 요청"), "concurrency": 1, **lengths,
         "requests": one, "weight": 0.5},
        {"id": "throughput", "title": Text("Many at once", "동시 요청"), "concurrency": many[0], **lengths,
         "requests": many[1], "weight": 0.5},
    ]  # fmt: skip


def _phase(timezone: str) -> dict[str, Any]:
    today = datetime.now(ZoneInfo(timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "id": "open",
        "title": Text("Open round", "본 대회"),
        "start": today,
        "end": today + timedelta(days=DAYS),
    }
