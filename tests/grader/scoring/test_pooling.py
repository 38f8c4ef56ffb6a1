"""Several measurements combined into one."""

from __future__ import annotations

import pytest

from grader.scoring.pooling import pool
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


def test_values_are_averaged_by_question_and_rounds_add_up(contest):
    checkpoint = factories.facts()
    first, second = (
        factories.report(contest=contest, checkpoint=checkpoint, seed=s, worker_name=f"gpu-{s}")
        for s in (1, 2)
    )
    pooled = pool([first, second])
    for own, one, other in zip(pooled.quality, first.quality, second.quality, strict=True):
        assert own.value == pytest.approx((one.value + other.value) / 2)
        assert len(own.items) == len(one.items)
    for own, one, other in zip(pooled.speed, first.speed, second.speed, strict=True):
        assert own.rounds == one.rounds + other.rounds
    assert pooled.system.worker == "gpu-1 + gpu-2"


def test_one_measurement_is_itself(contest):
    report = factories.report(contest=contest)
    assert pool([report]).speed == report.speed
    assert [q.items for q in pool([report]).quality] == [q.items for q in report.quality]


def test_different_checkpoints_are_not_pooled(contest):
    with pytest.raises(ValueError, match="different checkpoints"):
        pool([factories.report(contest=contest, seed=s) for s in (1, 2)])
