"""Doorbells, databases and clocks that misbehave during a grade: it continues, and counts once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psycopg
import pytest
import redis

from leaderboard.celery import app
from leaderboard.models import Result
from tests.faults.conftest import ROOT, wait_until
from tests.faults.test_killed_worker import is_measuring, is_scored, outcomes
from tests.faults.test_sweeper import another_session

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def leases(settings):
    """Longer than a busy machine delays anything, so none of this can cost a lease."""
    settings.LEASE_S, settings.HEARTBEAT_S = 30.0, 0.5


CLOCK = """
import time
_real = time.time
time.time = lambda: _real() + {skew}
"""


def with_clock(folder: Path, skew_s: int) -> dict[str, str]:
    """A worker's environment in which every Python process's clock is off by this many seconds."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CLOCK.format(skew=skew_s))
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def test_one_attempt_however_often_it_rings_and_whatever_the_clocks_say(
    start_worker, enter_base_model, tmp_path
):
    """F9: one doorbell, 100 times, to three workers. F16: one worker's clock is an hour fast, one slow."""
    evaluation = enter_base_model()
    start_worker("gpu-1")
    for name, skew_s in (("gpu-2", 3600), ("gpu-3", -3600)):
        start_worker(name, environment=with_clock(tmp_path / f"clock-{name}", skew_s))
    with app.connection_for_write() as connection:
        for _ in range(100):
            app.send_task("grader.ring", queue="gpu", expires=25, connection=connection)
    wait_until(lambda: is_scored(evaluation))
    ((number, outcome, _),) = outcomes(evaluation)
    assert (number, outcome) == (1, "scored")
    assert evaluation.scores.count() == 1
    assert Result.objects.filter(evaluation=evaluation).count() == 1


def end_every_other_session() -> None:
    """Ends all connections, as a restart of PostgreSQL does."""
    with another_session() as session:
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_broker_that_forgets_and_database_that_hangs_up_in_the_middle_of_a_grade(
    start_worker, enter_base_model, settings
):
    """F7 and F11: messages that were lost, heartbeats and report, are sent again."""
    evaluation = enter_base_model()
    start_worker("gpu-1", candidate={"token_s": 0.002})
    wait_until(lambda: is_measuring(evaluation))
    redis.from_url(settings.REDIS_URL).flushall()
    stop = threading.Event()

    def restless() -> None:
        while not stop.wait(1.0):
            end_every_other_session()

    thread = threading.Thread(target=restless)
    thread.start()
    try:
        wait_until(lambda: read(lambda: is_scored(evaluation)))
    finally:
        stop.set()
        thread.join()
    assert outcomes(evaluation) == [(1, "scored", "gpu-1")]
    assert evaluation.scores.count() == 1


def read(look):
    """Query the database, retrying, because the test's own session is ended as well."""
    from django.db import InterfaceError, OperationalError, connection

    try:
        return look()
    except (OperationalError, InterfaceError, psycopg.OperationalError):
        connection.close()
        return False
