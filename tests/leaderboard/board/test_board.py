"""Who is ranked, in which order, at what cost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leaderboard.board import ranking
from leaderboard.models import Submission
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


def test_teams_are_numbered_and_organisers_rows_show_the_place_they_would_have(contest):
    factories.scored(contest=contest, kind=Submission.Kind.BASE, title="base", speedup=1.0,
                     accuracy=0.42, scheme="bf16", seed=1)  # fmt: skip
    for name, speedup in (("slow", 1.1), ("fast", 2.5)):
        team = factories.team(contest=contest, name=name)
        factories.scored(contest=contest, team=team, speedup=speedup, seed=2)
    rows = [(e.entrant, e.rank, e.is_ranked) for e in ranking.board(contest).entries]
    assert rows == [("fast", 1, True), ("slow", 2, True), ("base", 3, False)]


def test_best_entry_of_a_team_counts_and_failures_never_rank(contest):
    team = factories.team(contest=contest)
    factories.scored(contest=contest, team=team, speedup=1.2)
    best = factories.scored(contest=contest, team=team, speedup=2.0)
    factories.rejected(contest=contest, team=team)
    factories.submission(contest=contest, team=team)
    (entry,) = ranking.board(contest).entries
    assert entry.submission_id == best.submission_id
    assert entry.submissions == 2  # those that were scored


def test_same_measurement_is_a_tie_and_the_earlier_one_stands_first(contest):
    measured = factories.report(contest=contest)
    late = factories.scored(contest=contest, measured=measured)
    early = factories.scored(contest=contest, measured=measured, ago=timedelta(hours=1))
    first, second = ranking.board(contest).entries
    assert [first.submission_id, second.submission_id] == [early.submission_id, late.submission_id]
    assert (first.tied, second.tied) == (False, True)


def test_number_of_queries_does_not_grow_with_the_board(contest):
    def cost():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            ranking.board(contest)
        return len(captured)

    factories.scored(contest=contest)
    one = cost()
    for _ in range(3):
        factories.scored(contest=contest)
    assert cost() == one


def test_board_of_one_contest_does_not_show_another(contest):
    factories.scored(contest=factories.contest(slug="other"))
    assert ranking.board(contest).entries == []
