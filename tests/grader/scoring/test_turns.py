"""What pairs of blocks say when engines take turns: drift cancels, the interval covers, rounds are no unit."""

from __future__ import annotations

import dataclasses
import math
import random
import statistics

import pytest

from grader.protocol import bounds
from grader.protocol.documents import Report, Round, SpeedBlock
from grader.schema import SchemaError, decode, encode
from grader.scoring import inputs
from grader.scoring.aa import outcomes
from grader.scoring.pooling import pool
from grader.scoring.stats import trimmed_interval
from tests import factories_pure

TRUE = math.log(1.25)
ROUND_S = 2.0


def blocks(order, rng, *, rounds=5, drift=0.0, of_block=0.0, of_round=0.0):
    """Times of each block in ``order``: ``drift`` from one block to the next, noise of block and round."""
    made = []
    for number, role in enumerate(order):
        level = math.log(ROUND_S) - (TRUE if role == "candidate" else 0.0)
        level += drift * number + rng.gauss(0, of_block)
        times = tuple(math.exp(level + rng.gauss(0, of_round)) for _ in range(rounds))
        made.append(SpeedBlock(role, 1.0, 3, times))
    return made


def pairs(made):
    found = []
    for first, second in zip(made[::2], made[1::2], strict=True):
        by_role = {first.role: first.round_s, second.role: second.round_s}
        found.append(Round(first.role == "base", by_role["candidate"], by_role["base"]))
    return found


ABBA = ["base", "candidate", "candidate", "base"]
BAAB = ["candidate", "base", "base", "candidate"]
ABAB = ["base", "candidate", "base", "candidate"]


def ratio(order, drift):
    made = blocks(order, random.Random(1), drift=drift)
    return trimmed_interval([one.log_ratio for one in pairs(made)])[0]


@pytest.mark.parametrize("drift", [-0.02, 0.001, 0.05])
def test_linear_drift_cancels_in_abba_and_not_in_abab(drift):
    assert ratio(ABBA, drift) == pytest.approx(TRUE, abs=1e-9)
    assert ratio(ABBA * 2, drift) == pytest.approx(TRUE, abs=1e-9)
    assert ratio(ABAB, drift) == pytest.approx(TRUE - drift, abs=1e-9)


def coverage(values, **noise):
    """How often the interval of ``values`` of a session of 8 pairs holds the truth, and its mean width."""
    rng, hits, widths, trials = random.Random(7), 0, [], 2000
    for _ in range(trials):
        quads = [ABBA if rng.random() < 0.5 else BAAB for _ in range(4)]
        made = blocks([role for quad in quads for role in quad], rng, **noise)
        mean, half_width = trimmed_interval(values(made))
        hits += abs(mean - TRUE) <= half_width
        widths.append(half_width)
    return hits / trials, statistics.fmean(widths)


def of_pairs(made):
    return [one.log_ratio for one in pairs(made)]


def of_rounds(made):
    """Each round of a block with one of the other's, as if rounds were independent."""
    found = []
    for first, second in zip(made[::2], made[1::2], strict=True):
        base, own = (first, second) if first.role == "base" else (second, first)
        found += [math.log(b / c) for b, c in zip(base.rounds_s, own.rounds_s, strict=True)]
    return found


def test_the_interval_over_pairs_covers_and_one_over_rounds_does_not():
    """1 % from start to start, 1 % from round to round."""
    noise = {"of_block": 0.01, "of_round": 0.01}
    share, width = coverage(of_pairs, **noise)
    assert 0.93 <= share <= 0.98
    assert width < 0.02
    assert coverage(of_rounds, **noise)[0] < 0.8


def test_the_interval_covers_under_drift_too():
    share, _ = coverage(of_pairs, of_block=0.005, of_round=0.01, drift=0.005)
    assert share >= 0.93


def test_more_rounds_in_a_block_cannot_replace_blocks():
    """What is common to a block stays, however often it is timed."""
    few = coverage(of_pairs, of_block=0.01, of_round=0.01, rounds=5)[1]
    many = coverage(of_pairs, of_block=0.01, of_round=0.01, rounds=45)[1]
    assert many > 0.75 * few


@pytest.fixture
def report():
    made = blocks(ABBA, random.Random(2), of_round=0.01)
    before = factories_pure.report(rounds=[(1.0, 2.0)] * 2)
    turned = [
        dataclasses.replace(one, pairing="turns", blocks=tuple(made), rounds=tuple(pairs(made)))
        for one in before.speed
    ]
    return dataclasses.replace(before, speed=tuple(turned))


def changed(report, **changes):
    first, *rest = report.speed
    return dataclasses.replace(report, speed=(dataclasses.replace(first, **changes), *rest))


def test_a_report_of_turns_comes_back_and_is_scored_by_its_pairs(report):
    bounds.require_plausible(report)
    assert decode(Report, encode(report)) == report
    found = inputs.of(report)
    assert found == inputs.of_document(encode(report))
    assert found.log_ratios["latency"] == [one.log_ratio for one in report.speed[0].rounds]


def test_an_older_report_says_nothing_of_pairing_and_was_side_by_side():
    document = encode(factories_pure.report())
    assert not {"pairing", "blocks"} & document["speed"][0].keys()
    assert decode(Report, document).speed[0].pairing == "side_by_side"


def test_blocks_and_pairs_have_to_agree(report):
    (result, *_), (one, two, *more) = report.speed, report.speed[0].blocks
    wrong = {
        "speed[0].blocks": {"blocks": (one, two)},
        "speed[0].blocks[0].role": {"blocks": (two, one, *more)},
        "speed[0].blocks[1].rounds_s": {
            "blocks": (one, dataclasses.replace(two, rounds_s=(9.0,)), *more)
        },
        "speed[0].blocks[0].rounds_s": {
            "blocks": (dataclasses.replace(one, rounds_s=()), two, *more)
        },
        "speed[0].blocks[0].startup_s": {
            "blocks": (dataclasses.replace(one, startup_s=-1.0), two, *more)
        },
    }
    for where, change in wrong.items():
        with pytest.raises(SchemaError) as info:
            bounds.require_plausible(changed(report, **change))
        assert info.value.where == where
    with pytest.raises(SchemaError) as info:
        bounds.require_plausible(changed(report, pairing="side_by_side"))
    assert info.value.where == "speed[0].blocks"
    assert result.blocks


def test_measurements_of_one_checkpoint_are_pooled_with_their_blocks(report):
    both = pool([report, report])
    bounds.require_plausible(both)
    assert len(both.speed[0].blocks) == 2 * len(report.speed[0].blocks)
    with pytest.raises(ValueError, match="different load shapes"):
        pool([report, changed(report, pairing="side_by_side", blocks=())])


def test_the_workers_test_reads_pairs_like_rounds(report):
    (first, *_) = outcomes(report)
    assert first.ratio == pytest.approx(1.25, abs=0.02)
