"""The gap between public and private questions, as a difference in differences."""

from __future__ import annotations

import random
from dataclasses import replace

from grader.compliance import public_private_gap
from grader.split import is_public
from tests.factories_pure import demo, report

CONTEST = demo()


def graded(seed, learnt_by_heart=0.0, n=400):
    """A candidate as good as the base model, but for public questions that it has seen."""
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
    assert sum(sum(flagged(seed)) for seed in range(50)) <= 3  # of 100, at p < 0.01


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
    benchmarks = tuple(replace(b, public_share=1.0) for b in CONTEST.benchmarks)
    assert public_private_gap(report(), replace(CONTEST, benchmarks=benchmarks)) == []
