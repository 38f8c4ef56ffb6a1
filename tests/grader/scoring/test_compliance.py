"""The gap between public and private questions, as a difference in differences."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from grader.scoring.compliance import public_private_gap, repeatability
from grader.scoring.parts import is_public
from tests.factories_pure import demo, report

CONTEST = demo()


def graded(seed, learnt_by_heart=0.0, n=400):
    """A candidate as good as the base model, except for public questions it has seen."""
    generator = random.Random(seed)
    measured = report(pairs={b.id: [(1.0, 1.0)] * n for b in CONTEST.benchmarks})
    quality = []
    for benchmark, result in zip(CONTEST.benchmarks, measured.quality, strict=True):
        items = []
        for item in result.items:
            base = float(generator.random() < 0.7)
            own = base if generator.random() < 0.9 else float(generator.random() < 0.7)
            seen = is_public(CONTEST, benchmark, item.doc_hash)
            if seen and generator.random() < learnt_by_heart:
                own = 1.0
            items.append(replace(item, value=own, base_value=base))
        quality.append(replace(result, items=tuple(items)))
    return replace(measured, quality=tuple(quality))


def flagged(seed, **facts):
    return [c.flagged for c in public_private_gap(graded(seed, **facts), CONTEST)]


def test_learning_public_questions_by_heart_is_seen():
    assert all(all(flagged(seed, learnt_by_heart=0.6)) for seed in range(10))


def test_honest_candidates_are_left_alone():
    assert sum(sum(flagged(seed)) for seed in range(50)) <= 3  # out of 100, at p < 0.01


def test_being_worse_on_public_questions_is_no_finding():
    measured = graded(1)
    quality = []
    for benchmark, result in zip(CONTEST.benchmarks, measured.quality, strict=True):
        items = tuple(
            replace(i, value=0.0) if is_public(CONTEST, benchmark, i.doc_hash) else i
            for i in result.items
        )
        quality.append(replace(result, items=items))
    found = public_private_gap(replace(measured, quality=tuple(quality)), CONTEST)
    assert [c.flagged for c in found] == [False, False]


def test_a_benchmark_without_private_questions_has_no_gap():
    benchmarks = tuple(replace(b, public_share=1.0, twin_of="") for b in CONTEST.benchmarks)
    assert public_private_gap(report(), replace(CONTEST, benchmarks=benchmarks)) == []


def measured_again(seed, changed=3, worse=0, speedup=1.4):
    """One checkpoint graded again: some answers differ, ``worse`` of them only for the worse."""
    generator = random.Random(seed)
    first = graded(1)
    quality = []
    for result in first.quality:
        flipped = set(generator.sample(range(len(result.items)), changed))
        lost = set(generator.sample([i.doc_id for i in result.items if i.value], worse))
        items = tuple(
            replace(
                i,
                value=0.0 if i.doc_id in lost else 1 - i.value if i.doc_id in flipped else i.value,
            )
            for i in result.items
        )
        quality.append(replace(result, items=items))
    rounds = [
        (math.exp(generator.gauss(0, 0.02)), speedup * math.exp(generator.gauss(0, 0.02)))
        for _ in range(12)
    ]
    return replace(first, quality=tuple(quality), speed=report(rounds=rounds).speed)


def test_two_grades_of_one_checkpoint_agree():
    flags = [
        check.flagged
        for seed in range(40)
        for check in repeatability(measured_again(seed), measured_again(seed + 100), CONTEST)
    ]
    assert len(flags) == 40 * (len(CONTEST.benchmarks) + len(CONTEST.speed.shapes))
    assert sum(flags) <= 3


def test_two_grades_that_differ_by_more_than_noise_are_seen():
    first = measured_again(1)
    worse = repeatability(measured_again(2, worse=40), first, CONTEST)
    assert [c.where for c in worse if c.flagged] == [b.id for b in CONTEST.benchmarks]
    slower = repeatability(measured_again(2, speedup=1.3), first, CONTEST)
    assert [c.where for c in slower if c.flagged] == [s.id for s in CONTEST.speed.shapes]
    assert {c.code for c in worse} == {"FLAG_REPEAT"}


def test_what_only_one_of_two_grades_holds_is_left_out():
    first = measured_again(1)
    assert repeatability(first, replace(first, quality=(), speed=()), CONTEST) == []
