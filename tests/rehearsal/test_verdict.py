"""The rehearsal's verdict accepts what is right, and names what is not."""

from __future__ import annotations

import pytest

from grader.problems.catalogue import Problem
from leaderboard import lifecycle
from leaderboard.models import Evaluation, Result, Score
from tests import factories
from tests.rehearsal import verdict

pytestmark = pytest.mark.django_db


@pytest.fixture
def event():
    """Two entries scored and one rejected: their contest, and the numbers of the good and the bad."""
    contest = factories.contest()
    good = {factories.scored(contest=contest, seed=seed).submission_id for seed in (1, 2)}
    bad = factories.submission(contest=contest)
    lifecycle.fail_check(bad.pk, [Problem("ARCHIVE_FORMAT")])
    return contest, good, {bad.submission_id}


def test_an_event_without_a_fault_passes(event, tmp_path):
    contest, good, bad = event
    verdict.one_outcome_each(good, bad)
    assert verdict.board_follows_from_reports(contest.pk) == 2
    (tmp_path / "scratch" / "empty").mkdir(parents=True)
    verdict.nothing_left(tmp_path, [tmp_path / "none"])


def wrong_outcome(contest, good, bad):
    verdict.one_outcome_each(good | bad, set())


def unknown_entry(contest, good, bad):
    verdict.one_outcome_each(good, bad | {10**6})


def lost_result(contest, good, bad):
    Result.objects.filter(evaluation__submission=min(good)).delete()
    verdict.one_outcome_each(good, bad)


def scored_twice(contest, good, bad):
    one = Evaluation.objects.get(submission=min(good))
    lifecycle.append_score(one, one.version, columns(one.score))
    verdict.one_outcome_each(good, bad)


def columns(score):
    own = {"id", "evaluation", "version", "team", "created", "by", "reason"}
    names = [field.name for field in Score._meta.concrete_fields if field.name not in own]
    return {name: getattr(score, name) for name in names}


def changed_score(contest, good, bad):
    Score.objects.filter(evaluation__submission=min(good)).update(value=0.99)
    verdict.board_follows_from_reports(contest.pk)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (wrong_outcome, "is rejected"),
        (unknown_entry, "differ"),
        (lost_result, "0 results, 1 scores"),
        (scored_twice, "1 results, 2 scores"),
        (changed_score, "is not that of its report"),
    ],
)
def test_every_fault_is_named(event, fault, named):
    with pytest.raises(verdict.BrokenError, match=named):
        fault(*event)


def test_what_is_left_behind_is_named(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "archive").write_bytes(b"x")
    with pytest.raises(verdict.BrokenError, match="archive"):
        verdict.nothing_left(tmp_path, [])
