"""Which pairing fits and what it costs: sizes by hand, widths against simulated measurements."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest

from grader.contest import Contest, Engine
from grader.problems.catalogue import Stage
from grader.protocol.documents import Round, SpeedBlock, StageTime
from grader.scoring.pairing import (
    OVERHEAD_BYTES,
    START_SD,
    ShapeNoise,
    estimate,
    kv_bytes_per_token,
    noise_of,
    startup_of,
)
from grader.scoring.stats import t_quantile_975
from tests import factories_pure

GB = 10**9
# EXAONE-4.0-32B's shape
LARGE = {"num_hidden_layers": 64, "num_attention_heads": 40, "num_key_value_heads": 8,
         "head_dim": 128, "hidden_size": 5120}  # fmt: skip
NOISE = (ShapeNoise("latency", 2.0, 0.01), ShapeNoise("throughput", 4.0, 0.02))


def contest(**changes) -> Contest:
    plain = factories_pure.demo()
    base = dataclasses.replace(plain.base_model, safetensors_bytes=changes.pop("weights", 64 * GB))
    engine = Engine(tensor_parallel=changes.pop("gpus", 1), max_model_len=4096)
    facts = {"min_rounds": 4, "max_rounds": 40, "aim_half_width": 0.005, "max_half_width": 9.0}
    speed = dataclasses.replace(plain.speed, **facts | changes)
    return dataclasses.replace(plain, base_model=base, engine=engine, speed=speed)


def both(device_bytes, noise=NOISE, startup_s=120.0, candidate_bytes=0, **changes):
    return estimate(
        contest(**changes), LARGE, noise,
        startup_s=startup_s, device_bytes=device_bytes, candidate_bytes=candidate_bytes,
    )  # fmt: skip


def test_bytes_of_keys_and_values_follow_from_the_config():
    assert kv_bytes_per_token(LARGE, "bfloat16") == 64 * 2 * 8 * 128 * 2
    assert kv_bytes_per_token(LARGE, "bfloat16", gpus=2) == 64 * 2 * 4 * 128 * 2
    assert kv_bytes_per_token(LARGE, "float32", gpus=16) == 64 * 2 * 1 * 128 * 4  # copied
    assert kv_bytes_per_token({"text_config": LARGE}, "bfloat16") == 64 * 2 * 8 * 128 * 2
    old = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64}
    assert kv_bytes_per_token(old, "bfloat16") == 2 * 2 * 4 * 16 * 2
    latent = LARGE | {"kv_lora_rank": 512, "qk_rope_head_dim": 64}
    assert kv_bytes_per_token(latent, "bfloat16", gpus=8) == 64 * 576 * 2


@pytest.mark.parametrize(
    ("device_gb", "gpus", "expected"),
    [(72, 1, (False, False)), (96, 1, (False, True)), (80, 2, (False, True)),
     (192, 1, (True, True)), (80, 4, (True, True))],
)  # fmt: skip
def test_what_fits_a_gpu(device_gb, gpus, expected):
    """64 GB of weights, 85 % of the device: one engine needs about 67 GB, and two twice that."""
    side, turns = both(device_gb * GB, gpus=gpus)
    assert (side.pairing, turns.pairing) == ("side_by_side", "turns")
    assert (side.fits, turns.fits) == expected
    assert side.needed_bytes == turns.needed_bytes > 64 * GB // gpus + OVERHEAD_BYTES
    assert turns.available_bytes == pytest.approx(0.85 * device_gb * GB)


def test_a_candidate_larger_than_the_base_model_counts():
    assert both(96 * GB)[1].fits
    assert not both(96 * GB, candidate_bytes=90 * GB)[1].fits


def test_minutes_and_width_by_hand():
    side, turns = both(96 * GB, max_rounds=4, warmup_rounds=3, block_rounds=5)
    assert (side.rounds, turns.rounds) == (4, 4)
    assert side.minutes == pytest.approx((2 * 120 + (4 + 3) * (2.0 + 4.0)) / 60)
    assert turns.minutes == pytest.approx(((2 * 4 + 5) * 120 + 4 * 8 * (2.0 + 4.0)) / 60)
    t = t_quantile_975(3) / math.sqrt(4)
    assert side.half_width == pytest.approx(t * 0.02)
    sd = math.sqrt(2 * START_SD**2 + 0.02**2 / 5 * math.pi / 2)
    assert turns.half_width == pytest.approx(t * sd)
    assert turns.is_assumed
    assert not side.is_assumed


def test_rounds_go_on_to_the_aim_and_pairs_of_blocks_are_even():
    side, turns = both(96 * GB, aim_half_width=0.012, max_rounds=60)
    assert side.half_width <= 0.012
    assert turns.half_width <= 0.012
    assert turns.rounds % 2 == 0
    assert 4 < turns.rounds < 60
    assert both(96 * GB, aim_half_width=1e-9, max_rounds=10)[1].rounds == 10


def test_without_load_shapes_there_is_nothing_to_measure():
    assert [one.rounds for one in both(96 * GB, noise=())] == [0, 0]


def measured(pairs: int, rounds: int, start_sd: float, round_sd: float):
    """A report of turns with this noise."""
    rng, made, found = random.Random(3), [], []
    for number in range(pairs):
        order = ["base", "candidate"] if number % 2 == 0 else ["candidate", "base"]
        for role in order:
            level = rng.gauss(0, start_sd)
            times = tuple(math.exp(level + rng.gauss(0, round_sd)) for _ in range(rounds))
            made.append(SpeedBlock(role, 30.0, 3, times))
        of = {one.role: one.round_s for one in made[-2:]}
        found.append(Round(order[0] == "base", of["candidate"], of["base"]))
    report = factories_pure.report()
    speed = dataclasses.replace(
        report.speed[0], pairing="turns", rounds=tuple(found), blocks=tuple(made)
    )
    return dataclasses.replace(report, speed=(speed,))


def test_noise_of_starts_and_rounds_is_read_from_blocks():
    report = measured(400, 9, start_sd=0.02, round_sd=0.01)
    (one,) = noise_of(report)
    assert one.start_sd == pytest.approx(0.02, rel=0.15)
    assert one.round_sd == pytest.approx(math.sqrt(2) * 0.01, rel=0.1)
    assert one.pair_s == pytest.approx(2.0, rel=0.02)
    assert startup_of(report) == 30.0


def test_an_estimate_of_turns_meets_what_turns_give():
    """From a short session, the width of one with other numbers of blocks and rounds."""
    short = noise_of(measured(400, 9, start_sd=0.02, round_sd=0.03))
    _, turns = both(96 * GB, noise=short, min_rounds=8, max_rounds=8, block_rounds=5)
    assert not turns.is_assumed
    sd = math.sqrt(2 * 0.02**2 + 2 * 0.03**2 / 5 * math.pi / 2)
    assert turns.half_width == pytest.approx(t_quantile_975(7) * sd / math.sqrt(8), rel=0.15)


def test_loading_is_read_from_the_stage_where_both_engines_stay():
    report = factories_pure.report()
    load = dataclasses.replace(report, stages=(StageTime(Stage.LOAD, 90.0),))
    assert startup_of(load) == 90.0
    cuda = dataclasses.replace(load, system=dataclasses.replace(load.system, device="cuda"))
    assert startup_of(cuda) == 45.0
    assert [one.start_sd for one in noise_of(load)] == [None] * len(load.speed)
