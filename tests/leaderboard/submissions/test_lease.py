"""One archive is checked once at a time, however long it takes and however often the bell rings."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.db.models.functions import Now

from grader.checkpoint import Findings
from grader.problems.catalogue import Problem
from leaderboard import lifecycle
from leaderboard.core import doorbell
from leaderboard.models import Check, Evaluation
from leaderboard.operations import sweeper
from leaderboard.submissions import dry_run, lease, preflight
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Bells start checks at once, and leases are renewed all the time."""
    monkeypatch.setattr(doorbell, "enqueue_check", preflight.check)
    monkeypatch.setattr(doorbell, "enqueue_dry_run", dry_run.run)
    monkeypatch.setattr(lease, "RENEW_EVERY_S", 0.01)


@pytest.fixture
def looked(monkeypatch):
    """Replaces reading the archive; ``looked.during`` happens meanwhile."""

    class Looked(list):
        def during(self) -> None: ...

    found = Looked()

    def inspect(archive, contest):
        found.append(archive)
        found.during()
        return Findings((Problem("ARCHIVE_FORMAT"),))

    monkeypatch.setattr(preflight, "inspect", inspect)
    return found


@pytest.fixture
def evaluation(monkeypatch):
    with monkeypatch.context() as quiet:
        quiet.setattr(doorbell, "enqueue_check", lambda _: None)
        contest = factories.contest()
        user = factories.team(contest=contest).memberships.get().user
        return factories.entered(contest=contest, user=user, content=b"x")


@pytest.fixture
def check(monkeypatch):
    with monkeypatch.context() as quiet:
        quiet.setattr(doorbell, "enqueue_dry_run", lambda _: None)
        return dry_run.waiting(
            user=factories.user(), contest=factories.contest(), name="m.tar", size_bytes=1
        )


def until(condition):
    while not condition():
        time.sleep(0.01)


def test_the_sweeper_starts_no_second_check_while_one_works(evaluation, looked):
    """A check that takes longer than its lease, as one of 90 MB did on a busy machine."""

    def a_minute_passes():
        row = Evaluation.objects.filter(pk=evaluation.pk)
        for _ in range(3):
            row.update(not_before=Now())  # the lease is over, unless it is renewed
            until(row.filter(not_before__gt=Now()).exists)
            sweeper.sweep()
            preflight.check(evaluation.pk)  # a late bell

    looked.during = a_minute_passes
    preflight.check(evaluation.pk)
    assert len(looked) == 1
    evaluation.refresh_from_db()
    assert (evaluation.status, evaluation.check_attempts) == ("rejected", 1)


def test_a_dry_run_renews_its_lease_too(check, looked):
    def a_minute_passes():
        row = Check.objects.filter(pk=check.pk)
        for _ in range(3):
            row.update(tried=Now() - dry_run.AGAIN_AFTER - timedelta(seconds=1))
            until(row.filter(tried__gt=Now() - dry_run.AGAIN_AFTER).exists)
            sweeper.sweep()
            dry_run.run(check.pk)

    looked.during = a_minute_passes
    dry_run.run(check.pk)
    assert len(looked) == 1
    check.refresh_from_db()
    assert check.finished and check.tries == 1


def test_bells_that_ring_at_once_start_one_check(evaluation):
    together = threading.Barrier(8)

    def begin(_):
        try:
            together.wait()
            return lifecycle.begin_check(evaluation.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(found is not None for found in pool.map(begin, range(8))) == 1


def test_a_check_that_died_is_taken_over_and_cannot_renew(evaluation, looked):
    assert lifecycle.begin_check(evaluation.pk).check_attempts == 1
    sweeper.sweep()
    assert not looked
    Evaluation.objects.filter(pk=evaluation.pk).update(not_before=Now())
    looked.during = lambda: looked.append(lifecycle.renew_check(evaluation.pk, 1))
    sweeper.sweep()
    assert looked[1:] == [False]


def test_renewing_ends_with_the_lease_and_survives_the_database(caplog):
    answers = iter([DatabaseError("away"), True, False])
    asked = []

    def renew():
        asked.append(1)
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    with lease.renewed(renew):
        until(lambda: "gone to another" in caplog.text)
    assert len(asked) == 3
    assert "could not renew" in caplog.text
