"""The speed test on two stub engines, for every pairing."""

from __future__ import annotations

import pytest

from grader.worker.engine.launch import launch
from grader.worker.engine.server import Model
from grader.worker.faults import Cancellation
from grader.worker.measure import speed
from tests.grader.worker.conftest import make_contest


@pytest.fixture
def measure(scratch, worker):
    """Launch two stubs, measure all shapes, return (results, progress)."""

    def run(base=None, candidate=None, contest=None, **fields):
        contest = contest or make_contest()
        settings = worker(base, candidate, **fields)
        models = tuple(Model(role, contest.base_folder, 1) for role in ("base", "candidate"))
        told = []
        with launch(
            models, contest, settings, scratch / "run", "process", Cancellation()
        ) as engines:
            return speed.measure(*engines, told.append), told

    return run
