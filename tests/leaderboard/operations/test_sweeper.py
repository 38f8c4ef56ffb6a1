"""A sweep in which one step breaks."""

from __future__ import annotations

import pytest

from leaderboard import lifecycle, notifications, tasks, uploads
from leaderboard.operations import sweeper
from leaderboard.submissions import dry_run

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
