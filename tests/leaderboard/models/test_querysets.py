"""Which rows each queryset method selects; each is defined once, in ``leaderboard.models``."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from leaderboard import lifecycle
from leaderboard.models import Contest, Evaluation, Ruling, Submission, Team
from tests import factories

pytestmark = pytest.mark.django_db


def test_contests_in_force_have_rules_and_listed_ones_are_shown_to_everybody():
    shown, hidden = factories.contest(), factories.contest(slug="hidden")
    Contest.objects.filter(pk=hidden.pk).update(is_listed=False)
    Contest.objects.create(slug="empty")
    assert set(Contest.objects.in_force()) == {shown, hidden}
    assert list(Contest.objects.listed()) == [shown]


def test_a_submission_has_one_current_evaluation(django_assert_num_queries):
    contest = factories.contest()
    evaluation = factories.scored(contest=contest)
    regrade = Evaluation.objects.create(
        submission=evaluation.submission, version=contest.version, is_current=False
    )
    with django_assert_num_queries(1):
        assert evaluation.submission.evaluations.current().get() == evaluation
    assert list(Evaluation.objects.current().scored()) == [evaluation]
    assert list(Evaluation.objects.unfinished()) == [regrade]
    assert Evaluation.objects.unfinished_or_scored().count() == 2
    lifecycle.cancel(regrade.pk, by="mina")
    assert list(Evaluation.objects.unfinished_or_scored()) == [evaluation]


def test_the_self_test_is_no_part_of_a_contest():
    contest, other = factories.contest(), factories.contest(slug="other")
    real = factories.submission(contest=contest)
    factories.submission(contest=other)
    factories.submission(contest=contest, kind=Submission.Kind.SELFTEST)
    assert list(Evaluation.objects.of_contest(contest).without_selftest()) == [real]
    assert list(contest.submissions.without_selftest()) == [real.submission]


def test_a_lifted_ruling_is_not_in_force():
    team = factories.team(contest=factories.contest())
    ruling = factories.ruling(Ruling.Kind.HIDDEN, team=team)
    assert list(team.rulings.in_force()) == [ruling]
    Ruling.objects.update(lifted=Now())
    assert not team.rulings.in_force().exists()


def test_a_merged_team_is_left_out():
    contest = factories.contest()
    team, other = factories.team(contest=contest), factories.team(contest=contest)
    Team.objects.filter(pk=other.pk).update(merged_into=team)
    assert list(contest.teams.unmerged()) == [team]
