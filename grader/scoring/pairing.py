"""Estimates which pairing of the speed test fits a device, and what each costs in minutes and in width.

It helps to choose ``speed.pairing`` before an event. Memory is counted per GPU: an engine needs its share of
the weights, room for one longest text or for the busiest load, whichever is more, and ``OVERHEAD_BYTES``. It
gets ``gpu_memory_utilization`` of the device, or half of that side by side.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from grader.contest import Contest, SpeedTest
from grader.problems.catalogue import Stage
from grader.protocol.documents import Pairing, Report, SpeedResult
from grader.scoring.stats import t_quantile_975, trimmed_interval

# Activations of a step, the CUDA context, graphs and buffers of a served model.
OVERHEAD_BYTES = 2 << 30
# Of the log of an engine's speed from one start to the next, where nothing was measured.
START_SD = 0.01
# In turns, besides the blocks: both at first, the base model's samples, both for the checks.
OTHER_LOADS = 5
DTYPE_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


@dataclass(frozen=True, slots=True)
class ShapeNoise:
    """One load shape as it was measured.

    Attributes:
        pair_s: time of one round of the base model and one of the candidate.
        round_sd: standard deviation of the log ratio of two such rounds.
        start_sd: of the log of an engine's speed, from one start to the next; None: it was started once.
    """

    shape: str
    pair_s: float
    round_sd: float
    start_sd: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """One pairing on one device. Sizes are of one GPU.

    Attributes:
        fits: whether the larger of the two engines has enough.
        rounds: rounds, or pairs of blocks, until the aim is met or the contest's limit is reached.
        minutes: the speed test with every loading of a grade.
        half_width: of the 95 % interval of the log ratio, for the shape where it is widest.
        is_assumed: the noise from start to start was not measured.
        is_chosen: it is the contest's.
    """

    pairing: Pairing
    fits: bool
    needed_bytes: int
    available_bytes: int
    rounds: int
    minutes: float
    half_width: float
    is_assumed: bool = False
    is_chosen: bool = False


def estimate(
    contest: Contest,
    config: Mapping[str, Any],
    noise: tuple[ShapeNoise, ...],
    *,
    startup_s: float,
    device_bytes: int,
    candidate_bytes: int = 0,
    share: float | None = None,
) -> tuple[Estimate, Estimate]:
    """Side by side and in turns, for the same contest.

    Args:
        config: the base model's ``config.json``.
        startup_s: of one engine.
        device_bytes: memory of one GPU.
        candidate_bytes: weights of the largest candidate; 0: as large as the base model.
        share: of the memory that engines may use; None: the contest's ``gpu_memory_utilization``.
    """
    gpus = contest.engine.tensor_parallel
    weights = max(contest.base_model.safetensors_bytes, candidate_bytes)
    needed = weights // gpus + kv_cache_bytes(contest, config) + OVERHEAD_BYTES
    whole = int(device_bytes * (contest.engine.gpu_memory_utilization if share is None else share))
    side = _side_by_side(contest.speed, noise, startup_s)
    turns = _in_turns(contest.speed, noise, startup_s)

    def judged(one: Estimate, available: int) -> Estimate:
        return replace(
            one,
            fits=needed <= available,
            needed_bytes=needed,
            available_bytes=available,
            is_chosen=one.pairing == contest.speed.pairing,
        )

    return judged(side, whole // 2), judged(turns, whole)


def kv_cache_bytes(contest: Contest, config: Mapping[str, Any]) -> int:
    """Return the size of keys and values on one GPU: of one longest text, which vLLM demands, or of the busiest
    load.
    """
    tokens = max(
        contest.engine.max_model_len,
        *(s.concurrency * (s.input_tokens + s.output_tokens) for s in contest.speed.shapes),
    )
    return tokens * kv_bytes_per_token(config, contest.engine.dtype, contest.engine.tensor_parallel)


def kv_bytes_per_token(config: Mapping[str, Any], dtype: str, gpus: int = 1) -> int:
    """Of all layers on one GPU; heads are shared out, or copied where there are fewer than GPUs.

    Layers with a sliding window are counted whole, so this errs upwards.
    """
    text = config.get("text_config")
    values: Mapping[str, Any] = text if isinstance(text, Mapping) else config
    layers = int(values["num_hidden_layers"])
    if rank := values.get("kv_lora_rank"):  # multi-head latent attention: one vector, on every GPU
        return layers * (int(rank) + int(values["qk_rope_head_dim"])) * DTYPE_BYTES[dtype]
    heads = int(values["num_attention_heads"])
    kv_heads = int(values.get("num_key_value_heads") or heads)
    head_dim = int(values.get("head_dim") or int(values["hidden_size"]) // heads)
    return layers * 2 * math.ceil(kv_heads / gpus) * head_dim * DTYPE_BYTES[dtype]


def noise_of(report: Report) -> tuple[ShapeNoise, ...]:
    """How noisy the shapes of a report were, in whichever pairing it was measured."""
    return tuple(_noise(result) for result in report.speed if len(result.rounds) > 1)


def startup_of(report: Report) -> float:
    """Seconds in which one engine was up: of its blocks, or its share of the stage in which both load."""
    blocks = [block.startup_s for result in report.speed for block in result.blocks]
    if blocks:
        return statistics.median(blocks)
    load_s = math.fsum(one.duration_s for one in report.stages if one.stage == Stage.LOAD)
    return load_s / 2 if report.system.device == "cuda" else load_s  # on a CPU both load at once


def _noise(result: SpeedResult) -> ShapeNoise:
    pair_s = statistics.fmean(one.base_s + one.candidate_s for one in result.rounds)
    if not result.blocks:
        return ShapeNoise(result.shape, pair_s, _sd(result))
    within = [
        statistics.variance(map(math.log, block.rounds_s))
        for block in result.blocks
        if len(block.rounds_s) > 1
    ]
    round_sd = math.sqrt(2 * statistics.fmean(within)) if within else 0.0
    rounds = statistics.fmean(len(block.rounds_s) for block in result.blocks)
    of_starts = max(0.0, _sd(result) ** 2 - _of_rounds(round_sd, rounds))
    return ShapeNoise(result.shape, pair_s, round_sd, math.sqrt(of_starts / 2))


def _sd(result: SpeedResult) -> float:
    """The standard deviation that the interval of a shape stands for."""
    ratios = [one.log_ratio for one in result.rounds]
    half_width = trimmed_interval(ratios)[1]
    return half_width * math.sqrt(len(ratios)) / t_quantile_975(len(ratios) - 1)


def _of_rounds(round_sd: float, rounds: float) -> float:
    """Variance that rounds leave in a pair of blocks, whose times are medians (π/2 of a mean's from 3 on)."""
    return round_sd**2 / rounds * (math.pi / 2 if rounds > 2 else 1.0)


def _side_by_side(test: SpeedTest, noise: tuple[ShapeNoise, ...], startup_s: float) -> Estimate:
    found = [_rounds(test, one.round_sd, step=1) for one in noise]
    rounds = [
        (n + test.warmup_rounds) * one.pair_s for (n, _), one in zip(found, noise, strict=True)
    ]
    return _made("side_by_side", found, 2 * startup_s + math.fsum(rounds))


def _in_turns(test: SpeedTest, noise: tuple[ShapeNoise, ...], startup_s: float) -> Estimate:
    """Every shape is measured in the same blocks, so the noisiest decides how many there are."""
    sds = []
    for one in noise:
        start_sd = START_SD if one.start_sd is None else one.start_sd
        sds.append(math.sqrt(2 * start_sd**2 + _of_rounds(one.round_sd, test.block_rounds)))
    found = [_rounds(test, sd, step=2) for sd in sds]
    pairs = max((n for n, _ in found), default=0)
    block_s = math.fsum((test.warmup_rounds + test.block_rounds) * one.pair_s for one in noise)
    seconds = (2 * pairs + OTHER_LOADS) * startup_s + pairs * block_s
    made = _made("turns", [(pairs, _half_width(sd, pairs)) for sd in sds], seconds)
    return replace(made, is_assumed=any(one.start_sd is None for one in noise))


def _made(pairing: Pairing, found: list[tuple[int, float]], seconds: float) -> Estimate:
    rounds, widths = (
        (list(values) for values in zip(*found, strict=True)) if found else ([0], [0.0])
    )
    return Estimate(pairing, True, 0, 0, int(max(rounds)), seconds / 60, max(widths))


def _rounds(test: SpeedTest, sd: float, step: int) -> tuple[int, float]:
    """How many it takes to the aim, and the half-width then."""
    n = max(2, test.min_rounds + test.min_rounds % step)
    while n + step <= test.max_rounds and _half_width(sd, n) > test.aim:
        n += step
    return n, _half_width(sd, n)


def _half_width(sd: float, n: int) -> float:
    return t_quantile_975(n - 1) * sd / math.sqrt(n)
