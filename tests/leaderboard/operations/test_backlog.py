"""The backlog: the oldest item of each state, and recent failures."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from grader.problems.catalogue import Problem
from leaderboard import lifecycle
from leaderboard.models import Attempt, Evaluation
from leaderboard.operations import backlog
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


def line(name):
    return next(line for line in backlog.lines() if line.name == name)


def test_empty_site_stands_still_nowhere():
    assert [(line.count, line.age_s, line.is_stuck) for line in backlog.lines()] == [
        (0, 0.0, False)
    ] * 5


def test_line_names_the_oldest_and_says_when_it_is_stuck(contest):
    old = factories.submission(contest=contest)
    factories.submission(contest=contest)
    Evaluation.objects.filter(pk=old.pk).update(created=Now() - timedelta(minutes=11))
    found = line("check")
    assert (found.count, found.submission, found.is_stuck) == (2, old.submission_id, True)
    assert not line("wait").is_stuck


def test_failures_of_the_last_hour_count_each_attempt_once(contest):
    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    lifecycle.fail(evaluation.pk, 1, [Problem("SYS_NOISY"), Problem("SYS_NOISY", "throughput")])
    rejected = factories.rejected(contest=contest)
    found = {f.code: (f.count, f.latest_submission) for f in backlog.failures()}
    assert found == {
        "SYS_NOISY": (1, evaluation.submission_id),
        "LAYOUT_MISSING_CONFIG": (1, rejected.submission_id),
    }
    Attempt.objects.update(ended=Now() - timedelta(hours=2))
    assert [f.code for f in backlog.failures()] == ["LAYOUT_MISSING_CONFIG"]


def test_evaluation_that_used_up_its_attempts_adds_one_code(contest, settings):
    settings.MAX_ATTEMPTS = 1
    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    lifecycle.fail(evaluation.pk, 1, [Problem("SYS_NOISY")])
    counts = {f.code: f.count for f in backlog.failures()}
    assert counts == {"SYS_NOISY": 1, "SYS_ATTEMPTS_EXHAUSTED": 1}
