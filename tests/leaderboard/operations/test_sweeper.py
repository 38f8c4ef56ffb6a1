"""A sweep in which one step breaks, and one without a broker."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError

from leaderboard import lifecycle, notifications, tasks, uploads
from leaderboard.celery import app
from leaderboard.core import doorbell
from leaderboard.models import Evaluation
from leaderboard.operations import sweeper
from leaderboard.submissions import dry_run, preflight
from tests import factories
from tests.faults.test_sweeper import another_session

pytestmark = pytest.mark.django_db


def broken():
    raise RuntimeError("broken")


def test_a_step_that_breaks_holds_up_no_other_and_is_told(monkeypatch, caplog):
    done = []
    monkeypatch.setattr(lifecycle, "return_lost_work", broken)
    monkeypatch.setattr(uploads, "finish_stranded", broken)
    monkeypatch.setattr(dry_run, "ring_waiting", lambda: done.append("checks"))
    monkeypatch.setattr(notifications, "forget_old", lambda: done.append("messages"))
    with pytest.raises(ExceptionGroup) as found:
        tasks.sweep()  # the task ends as failed
    assert [str(error) for error in found.value.exceptions] == ["broken", "broken"]
    assert done == ["checks", "messages"]
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


def test_what_broke_within_a_step_is_logged_once(monkeypatch, caplog):
    def rows():
        raise ExceptionGroup("of rows", [RuntimeError("logged there")])

    monkeypatch.setattr(uploads, "remove_expired", rows)
    with pytest.raises(ExceptionGroup):
        sweeper.sweep()
    assert caplog.records == []


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def asked(monkeypatch):
    """A broker that takes no message; the tasks it was offered."""
    asked = []

    def away(task, **_):
        asked.append(task)
        raise OperationalError("away")

    monkeypatch.setattr(app, "send_task", away)
    return asked


@pytest.fixture
def checked(monkeypatch):
    found = []
    monkeypatch.setattr(preflight, "check", found.append)
    return found


def test_without_a_broker_the_sweeper_makes_the_checks_itself(asked, checked, contest):
    first, second = (factories.submission(contest=contest) for _ in range(2))
    asked.clear()
    sweeper.sweep_and_work()
    assert sorted(checked) == [first.pk, second.pk]
    assert asked == ["leaderboard.check"]  # the broker is asked once a round, not once a check


def test_with_a_broker_the_checks_are_the_site_workers(checked, monkeypatch, contest):
    sent = []
    monkeypatch.setattr(app, "send_task", lambda task, **_: sent.append(task))
    factories.submission(contest=contest)
    sweeper.sweep_and_work()
    assert (sent[-1], checked) == ("leaderboard.check", [])


def test_a_check_that_breaks_holds_up_no_other(asked, monkeypatch, contest):
    first, second = (factories.submission(contest=contest) for _ in range(2))
    done = []

    def check(pk):
        if pk == first.pk:
            raise preflight.CheckError("broken")
        done.append(pk)

    monkeypatch.setattr(preflight, "check", check)
    with pytest.raises(ExceptionGroup):
        sweeper.sweep_and_work()
    assert done == [second.pk]


def test_what_takes_too_long_is_left_to_the_next_round(asked, checked, monkeypatch, contest):
    factories.submission(contest=contest)
    monkeypatch.setattr(sweeper, "WORK_S", 0.0)
    sweeper.sweep_and_work()
    assert checked == []
    monkeypatch.undo()


def test_one_process_at_a_time_does_the_work(asked, checked, contest):
    factories.submission(contest=contest)
    with another_session() as other:
        other.execute("SELECT pg_advisory_lock(%s)", [sweeper.WORK_LOCK])
        sweeper.sweep_and_work()
        assert checked == []
        other.execute("SELECT pg_advisory_unlock(%s)", [sweeper.WORK_LOCK])
    sweeper.sweep_and_work()
    assert len(checked) == 1


def test_rings_that_nobody_keeps_are_dropped(asked, contest):
    evaluation = factories.submission(contest=contest)
    doorbell.enqueue_check(evaluation.pk)
    with doorbell.keep_unheard() as unheard:
        doorbell.ring_workers()  # they ask by themselves
        assert unheard == []
        doorbell.enqueue_check(evaluation.pk)
    assert unheard == [doorbell.Ring("checks", "leaderboard.check", (evaluation.pk,))]
    doorbell.enqueue_check(evaluation.pk)
    assert len(unheard) == 1
    assert Evaluation.objects.get().status == Evaluation.Status.QUEUED
