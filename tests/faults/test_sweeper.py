"""No beat, or two of them: nothing is swept twice, and nothing depends on the sweeper alone."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.db.models.functions import Now

from leaderboard import workers
from leaderboard.core import doorbell
from leaderboard.models import Attempt, Evaluation
from leaderboard.operations import sweeper
from tests import factories
from tests.leaderboard.workers.test_registry import enlist

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lost():
    """An evaluation whose worker went silent."""
    contest = factories.contest()
    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    Evaluation.objects.update(lease_until=Now() - timedelta(seconds=1))
    return evaluation


def another_session():
    parameters = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    known = {name: parameters[name] for name in names if name in parameters}
    return psycopg.connect(**known, autocommit=True)


def test_second_sweeper_leaves_the_round_to_the_first(lost):
    with another_session() as first:
        first.execute("SELECT pg_advisory_lock(%s)", [sweeper.LOCK])
        assert sweeper.sweep() is False
        lost.refresh_from_db()
        assert lost.status == Evaluation.Status.RUNNING
        first.execute("SELECT pg_advisory_unlock(%s)", [sweeper.LOCK])
    assert sweeper.sweep() is True
    lost.refresh_from_db()
    assert (lost.status, lost.faults) == (Evaluation.Status.QUEUED, 1)


def test_sweeper_that_breaks_gives_its_turn_back(lost, monkeypatch):
    def broken():
        raise RuntimeError("broken")

    monkeypatch.setattr(sweeper, "_sweep", broken)
    with pytest.raises(RuntimeError, match="broken"):
        sweeper.sweep()
    monkeypatch.undo()
    with another_session() as other:
        assert other.execute("SELECT pg_try_advisory_lock(%s)", [sweeper.LOCK]).fetchone() == (
            True,
        )


def test_without_any_sweeper_a_claim_returns_lost_work(lost):
    worker = enlist(lost.submission.contest, "gpu-2")
    assert workers.claim(worker).job.attempt == 2
    assert list(Attempt.objects.order_by("number").values_list("outcome", flat=True)) == [
        "lost",
        "",
    ]


def test_broker_that_is_down_delays_and_loses_nothing(lost, monkeypatch, caplog):
    """F8: uploads are accepted, and workers keep going by polling."""
    from leaderboard.celery import app

    # If read before anything is set, it falls back to broker_url; in the other order it would stay set.
    monkeypatch.setattr(app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(app.conf, "broker_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    doorbell.ring_workers()
    assert "could not ring grader.ring" in caplog.text
    assert sweeper.sweep() is True
    entered = factories.submission(contest=lost.submission.contest)
    assert entered.status == Evaluation.Status.QUEUED
    assert workers.claim(enlist(lost.submission.contest)).job.evaluation == lost.pk


def test_clock_of_the_site_decides_nothing_about_leases(lost, monkeypatch):
    """F16: a clock an hour off in either direction, and the lease still ends by the database's clock."""
    from django.utils import timezone

    real = timezone.now
    contest = lost.submission.contest
    Evaluation.objects.update(lease_until=Now() + timedelta(seconds=60))
    for skew in (timedelta(hours=1), timedelta(hours=-1)):
        monkeypatch.setattr(timezone, "now", lambda skew=skew: real() + skew)
        sweeper.sweep()
        lost.refresh_from_db()
        assert lost.status == Evaluation.Status.RUNNING
    Evaluation.objects.update(lease_until=Now() - timedelta(seconds=1))
    sweeper.sweep()
    lost.refresh_from_db()
    assert lost.status == Evaluation.Status.QUEUED
    assert contest.version_id
