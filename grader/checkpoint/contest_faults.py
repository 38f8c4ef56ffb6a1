"""Finds contradictions between a contest's file and its base model's folder, before anyone submits.

Reads headers, config and settings only. It does not judge whether the model suits the contest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from grader.checkpoint.base import (
    TENSORS,
    base_architecture,
    base_config,
    headers_of,
    read_table,
)
from grader.checkpoint.engine_layers import find_obstacle, vllm_version
from grader.contest import Contest
from grader.protocol.worker import MAX_QUESTIONS


@dataclass(frozen=True, slots=True)
class ContestFault:
    """One fault. ``where`` is the key in the contest's file; ``values`` fill in the message of ``code``."""

    code: str
    where: str
    values: Mapping[str, object] = field(default_factory=dict)


def find_contest_faults(contest: Contest) -> Iterator[ContestFault]:
    """Find everything that would keep all submissions from being checked or measured."""
    yield from _settings(contest)
    architecture, where = contest.base_model.architecture, "base_model.architecture"
    if obstacle := find_obstacle(architecture):
        values = {"architecture": architecture, "vllm": vllm_version(), "package": obstacle}
        code = "ARCHITECTURE_UNKNOWN" if obstacle == "?" else "ARCHITECTURE_NEEDS"
        yield ContestFault(code, where, values)
    yield from _base_folder(contest)


def _settings(contest: Contest) -> Iterator[ContestFault]:
    longest = contest.engine.max_model_len
    for i, benchmark in enumerate(contest.benchmarks):
        if benchmark.max_gen_toks >= longest:
            values = {"tokens": benchmark.max_gen_toks, "longest": longest}
            yield ContestFault("NO_ROOM_FOR_PROMPT", f"benchmarks[{i}].max_gen_toks", values)
    yield from too_many_questions(sum(benchmark.limit for benchmark in contest.benchmarks))
    for i, shape in enumerate(contest.speed.shapes):
        needed = shape.input_tokens + shape.output_tokens
        if needed > longest:
            values = {"tokens": needed, "longest": longest}
            yield ContestFault("SHAPE_TOO_LONG", f"speed.shapes[{i}].input_tokens", values)


def too_many_questions(count: int) -> Iterator[ContestFault]:
    """Whether the report of so many would be longer than the site accepts."""
    if count > MAX_QUESTIONS:
        values = {"questions": f"{count:,}", "most": f"{MAX_QUESTIONS:,}"}
        yield ContestFault("TOO_MANY_QUESTIONS", "benchmarks[0].limit", values)


def _base_folder(contest: Contest) -> Iterator[ContestFault]:
    folder, where = contest.base_folder, "base_model.folder"
    about = {"folder": str(folder), "contest": contest.id}
    try:
        config = base_config(contest)
    except (OSError, ValueError) as error:
        yield ContestFault("BASE_CONFIG", where, {**about, "error": str(error)})
        return
    if config.get("architectures") != [contest.base_model.architecture]:
        found = ", ".join(map(str, config.get("architectures") or ["?"]))
        values = {"architecture": contest.base_model.architecture, "found": found}
        yield ContestFault("ARCHITECTURE_DIFFERS", "base_model.architecture", values)
    weights = sorted(folder.glob("*.safetensors"))
    table = folder / TENSORS
    if not weights and not table.is_file():
        yield ContestFault("BASE_HEADERS", where, about)
        return
    try:
        base_architecture(contest).decoder(config)
        if weights and table.is_file() and read_table(table) != headers_of(weights):
            yield ContestFault("BASE_TABLE_DIFFERS", where, about)
    except (OSError, ValueError) as error:
        yield ContestFault("BASE_UNREADABLE", where, {**about, "error": str(error)})
    yield from _tensor_parallel(contest, config)
    yield from _template(contest)


def _tensor_parallel(contest: Contest, config: Mapping[str, object]) -> Iterator[ContestFault]:
    """Check that attention heads divide evenly among GPUs; otherwise vLLM fails at startup."""
    text = config.get("text_config")
    heads = (text if isinstance(text, dict) else config).get("num_attention_heads")
    gpus = contest.engine.tensor_parallel
    if isinstance(heads, int) and heads % gpus:
        values = {"heads": heads, "gpus": gpus}
        yield ContestFault("HEADS_NOT_SHARED_OUT", "engine.tensor_parallel", values)


def _template(contest: Contest) -> Iterator[ContestFault]:
    """Find a tokenizer without the chat template a benchmark needs. A missing tokenizer is not reported."""
    folder = contest.base_folder
    tokenizer = folder / "tokenizer_config.json"
    if not tokenizer.is_file() or any(folder.glob("chat_template.*")):
        return
    try:
        has_own = "chat_template" in json.loads(tokenizer.read_text("utf-8"))
    except ValueError:
        has_own = False
    for i, benchmark in enumerate(contest.benchmarks):
        if benchmark.apply_chat_template and not has_own:
            values = {"benchmark": benchmark.id, "folder": str(folder)}
            yield ContestFault("NO_CHAT_TEMPLATE", f"benchmarks[{i}].apply_chat_template", values)
