"""Checks that a report is plausible. The schema checks types; this module checks what no measurement can be.

The limits are far beyond what a legitimate worker can reach. They protect against a broken or stolen worker
that claims a score of billions or breaks the page that shows its report.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from grader.problems.catalogue import CATALOGUE, Stage
from grader.protocol.documents import (
    AAReport,
    CheckpointFacts,
    GpuState,
    LikelihoodResult,
    MemoryResult,
    QualityResult,
    Report,
    ServingMetrics,
    SpeedResult,
    StageTime,
    System,
)
from grader.schema import SchemaError

VERSION = 1
MAX_BYTES = 2**50
MAX_COUNT = 10**12
MAX_S = 30 * 86_400.0
MAX_MS = 1000 * MAX_S
MIN_ROUND_S = 1e-6
MAX_ROUND_RATIO = 1000.0  # how much faster one engine may be in a round
MAX_TOKENS_PER_S = 1e9
MAX_CHARS = 1e9
MAX_NLL = 1e6
CLOCKS_S = 1.0  # two clocks and their rounding may differ by this much
MEANS = 1e-6  # a mean and its values may differ by this much


def require_plausible(report: Report | AAReport) -> None:
    """Check a report.

    Raises:
        SchemaError: an impossible number, order or repetition; with its location.
    """
    _speed(report.speed)
    _stages(report.stages)
    _system(report.system)
    took_s = {time.stage: time.duration_s for time in report.stages}
    if Stage.SPEED in took_s:
        _within_stage("speed", math.fsum(map(_measured_s, report.speed)), took_s[Stage.SPEED])
    if isinstance(report, AAReport):
        return
    if report.version != VERSION:
        raise SchemaError("version", f"expected {VERSION}")
    _quality(report.quality)
    if Stage.QUALITY in took_s:
        runs_s = math.fsum(result.duration_s for result in report.quality)
        _within_stage("quality", runs_s, took_s[Stage.QUALITY])
    _checkpoint(report.checkpoint)
    _memory(report.memory, report.checkpoint)
    _codes("notices", (problem.code for problem in report.notices))
    _codes("checks", (check.code for check in report.checks))
    _likelihoods(report.likelihoods)


def _between(where: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SchemaError(where, f"{value:g} is not between {low:g} and {high:g}")


def _unique(where: str, names: list[str]) -> None:
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            raise SchemaError(f"{where}[{i}]", f"{name[:60]} is there twice")
        seen.add(name)


def _codes(where: str, codes: Iterable[str]) -> None:
    for i, code in enumerate(codes):
        if code not in CATALOGUE:
            raise SchemaError(f"{where}[{i}].code", f"unknown code {code[:60]}")


def _within_stage(where: str, parts_s: float, stage_s: float) -> None:
    if parts_s > stage_s + CLOCKS_S:
        message = f"its parts took {parts_s:.1f} s, the whole stage {stage_s:.1f} s"
        raise SchemaError(where, message)


def _quality(results: tuple[QualityResult, ...]) -> None:
    _unique("quality", [result.benchmark for result in results])
    for n, result in enumerate(results):
        where = f"quality[{n}]"
        _items(where, result)
        for name in ("stderr", "base_stderr"):
            _between(f"{where}.{name}", getattr(result, name), 0, 1)
        for name in ("mean_output_chars", "base_mean_output_chars"):
            _between(f"{where}.{name}", getattr(result, name), 0, MAX_CHARS)
        _between(f"{where}.duration_s", result.duration_s, 0, MAX_S)


def _items(where: str, result: QualityResult) -> None:
    if not result.items:
        raise SchemaError(f"{where}.items", "at least one is needed")
    last = -1
    for i, item in enumerate(result.items):
        if not last < item.doc_id <= MAX_COUNT:
            raise SchemaError(f"{where}.items[{i}].doc_id", "does not come after the one before it")
        last = item.doc_id
        if not (0 <= item.value <= 1 and 0 <= item.base_value <= 1):
            raise SchemaError(f"{where}.items[{i}]", "a value is not between 0 and 1")
        if not item.doc_hash:
            raise SchemaError(f"{where}.items[{i}].doc_hash", "empty")
    for name, values in (
        ("value", [item.value for item in result.items]),
        ("base_value", [item.base_value for item in result.items]),
    ):
        if abs(getattr(result, name) - statistics.fmean(values)) > MEANS:
            raise SchemaError(f"{where}.{name}", "is not the mean of its questions")


def _likelihoods(results: tuple[LikelihoodResult, ...]) -> None:
    _unique("likelihoods", [result.benchmark for result in results])
    for n, result in enumerate(results):
        for i, item in enumerate(result.items):
            where = f"likelihoods[{n}].items[{i}]"
            _between(f"{where}.doc_id", item.doc_id, 0, MAX_COUNT)
            _between(f"{where}.tokens", item.tokens, 1, MAX_COUNT)
            _between(f"{where}.nll", item.nll, 0, MAX_NLL)
            _between(f"{where}.base_nll", item.base_nll, 0, MAX_NLL)


def _speed(results: tuple[SpeedResult, ...]) -> None:
    _unique("speed", [result.shape for result in results])
    for n, result in enumerate(results):
        where = f"speed[{n}]"
        _between(f"{where}.output_tokens", result.output_tokens, 1, MAX_COUNT)
        if not result.rounds:
            raise SchemaError(f"{where}.rounds", "at least one is needed")
        for i, one in enumerate(result.rounds):
            place = f"{where}.rounds[{i}]"
            _between(f"{place}.candidate_s", one.candidate_s, MIN_ROUND_S, MAX_S)
            _between(f"{place}.base_s", one.base_s, MIN_ROUND_S, MAX_S)
            _between(place, one.base_s / one.candidate_s, 1 / MAX_ROUND_RATIO, MAX_ROUND_RATIO)
        _blocks(where, result)
        _serving(f"{where}.candidate", result.candidate)
        _serving(f"{where}.base", result.base)


def _blocks(where: str, result: SpeedResult) -> None:
    """Two blocks a round, in its order, and its times theirs; none where the engines ran side by side."""
    per_round = 2 if result.pairing == "turns" else 0
    if len(result.blocks) != per_round * len(result.rounds):
        raise SchemaError(f"{where}.blocks", f"{per_round} for each round are needed")
    for i, block in enumerate(result.blocks):
        place, pair = f"{where}.blocks[{i}]", result.rounds[i // 2]
        if not block.rounds_s:
            raise SchemaError(f"{place}.rounds_s", "at least one is needed")
        for one in block.rounds_s:
            _between(f"{place}.rounds_s", one, MIN_ROUND_S, MAX_S)
        _between(f"{place}.startup_s", block.startup_s, 0, MAX_S)
        _between(f"{place}.warmup_rounds", block.warmup_rounds, 0, MAX_COUNT)
        is_first = i % 2 == 0
        if block.role != ("base" if is_first == pair.base_first else "candidate"):
            raise SchemaError(f"{place}.role", "is not in the order of its round")
        time_s = pair.base_s if block.role == "base" else pair.candidate_s
        if abs(block.round_s - time_s) > MEANS * time_s:
            raise SchemaError(f"{place}.rounds_s", "their median is not the time of the round")


def _measured_s(result: SpeedResult) -> float:
    """All that was timed."""
    if result.blocks:
        return math.fsum(one for block in result.blocks for one in block.rounds_s)
    return math.fsum(one.base_s + one.candidate_s for one in result.rounds)


def _serving(where: str, metrics: ServingMetrics) -> None:
    for name in metrics.__slots__:
        high = MAX_TOKENS_PER_S if name == "output_tokens_per_s" else MAX_MS
        _between(f"{where}.{name}", getattr(metrics, name), 0, high)
    for kind in ("ttft", "tpot", "itl", "e2el"):
        p99 = getattr(metrics, f"p99_{kind}_ms")
        if p99 and getattr(metrics, f"median_{kind}_ms") > p99 * (1 + MEANS):  # 0: not measured
            raise SchemaError(f"{where}.p99_{kind}_ms", "is less than the median")
    # to the first token and to the last token
    if metrics.mean_e2el_ms and metrics.mean_ttft_ms > metrics.mean_e2el_ms * (1 + MEANS):
        raise SchemaError(f"{where}.mean_e2el_ms", "is less than the time to the first token")


def _stages(stages: tuple[StageTime, ...]) -> None:
    _unique("stages", [time.stage.value for time in stages])
    for i, time in enumerate(stages):
        _between(f"stages[{i}].duration_s", time.duration_s, 0, MAX_S)


def _checkpoint(facts: CheckpointFacts) -> None:
    if not facts.content_sha256:
        raise SchemaError("checkpoint.content_sha256", "empty")
    _between("checkpoint.safetensors_bytes", facts.safetensors_bytes, 1, MAX_BYTES)
    for i, tensor in enumerate(facts.tensors):
        _between(f"checkpoint.tensors[{i}].size_bytes", tensor.size_bytes, 0, MAX_BYTES)
        for size in tensor.shape:
            _between(f"checkpoint.tensors[{i}].shape", size, 0, MAX_COUNT)


def _memory(memory: MemoryResult, facts: CheckpointFacts) -> None:
    _between("memory.checkpoint_bytes", memory.checkpoint_bytes, 1, MAX_BYTES)
    _between("memory.base_bytes", memory.base_bytes, 1, MAX_BYTES)
    _between("memory.loaded_bytes", memory.loaded_bytes, 0, MAX_BYTES)
    _between("memory.base_loaded_bytes", memory.base_loaded_bytes, 0, MAX_BYTES)
    if memory.checkpoint_bytes != facts.safetensors_bytes:
        raise SchemaError("memory.checkpoint_bytes", "is not checkpoint.safetensors_bytes")


def _system(system: System) -> None:
    _between("system.cpu_count", system.cpu_count, 1, MAX_COUNT)
    _between("system.memory_bytes", system.memory_bytes, 0, MAX_BYTES)
    if system.gpu is not None:
        _gpu(system.gpu)


def _gpu(gpu: GpuState) -> None:
    _between("system.gpu.memory_bytes", gpu.memory_bytes, 0, MAX_BYTES)
    for name in ("power_limit_w", "max_sm_clock_mhz", "power_w"):
        _between(f"system.gpu.{name}", getattr(gpu, name), 0, 1e6)
    _between("system.gpu.count", gpu.count, 1, MAX_COUNT)
    _between("system.gpu.temperature_c", gpu.temperature_c, -100, 1000)
    for clock in gpu.sm_clock_mhz:
        _between("system.gpu.sm_clock_mhz", clock, 0, 1e6)
