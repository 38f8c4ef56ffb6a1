"""Which entries go to the final: the team's choice up to a date, otherwise its best by public score."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leaderboard import teams
from leaderboard.accounts import tokens
from leaderboard.board import ranking
from leaderboard.core.errors import Refused
from leaderboard.models import Contest, FinalChoice, Ruling, Score, Team
from tests import factories
from tests.leaderboard.contests.test_phases import HOUR, with_phase

pytestmark = pytest.mark.django_db
EN = {"Accept-Language": "en"}


def until(moment: timedelta) -> str:
    return f"select_until = {(timezone.now() + moment).isoformat()}"


@pytest.fixture
def contest():
    return with_phase(start=-2 * HOUR, end=-HOUR / 2, extra=until(HOUR))


def made(*, contest, captain=None, members=(), name="other") -> Team:
    """A team created before the phase's end: no team can be created now, but choosing is still open."""
    team = Team.objects.create(contest=contest, name=f"{name} {Team.objects.count()}")
    for person in (captain or factories.user(), *members):
        is_captain = not team.memberships.exists()
        team.memberships.create(contest=contest, user=person, is_captain=is_captain)
    return team


@pytest.fixture
def team(contest):
    mina, jiho = factories.user(name="mina"), factories.user(name="jiho")
    return made(contest=contest, captain=mina, members=[jiho], name="Hangang")


@pytest.fixture
def entries(contest, team):
    """Three scored submissions, best first."""
    return [
        factories.scored(contest=contest, team=team, speedup=speedup, seed=3).submission
        for speedup in (2.0, 1.6, 1.2)
    ]


def captain(team):
    return team.memberships.get(is_captain=True).user


def mate(team):
    return team.memberships.get(is_captain=False).user


def going(team):
    return ranking.final_entries(team.contest, team).get(team.pk, [])


def refused(code, *arguments):
    before = list(FinalChoice.objects.values_list("team", "submission"))
    with pytest.raises(Refused) as error:
        teams.choose(*arguments)
    assert error.value.code == code
    assert list(FinalChoice.objects.values_list("team", "submission")) == before


def test_without_a_choice_the_best_by_public_score_go(team, entries):
    assert going(team) == [entries[0].pk, entries[1].pk]


def test_the_default_goes_by_the_public_score_even_where_the_private_one_is_better(team, entries):
    hidden = Score.objects.get(evaluation__submission=entries[2])
    Score.objects.filter(pk=hidden.pk).update(private=hidden.private | {"value": 0.99})
    final = ranking.board(team.contest, "private", only_final=True)
    assert final.of_team(team.pk).submission_id != entries[2].pk
    teams.choose(team, [entries[2].pk], captain(team))
    final = ranking.board(team.contest, "private", only_final=True)
    assert final.of_team(team.pk).submission_id == entries[2].pk


def test_any_member_chooses_and_chooses_again(team, entries):
    version = Contest.objects.get().board_version
    teams.choose(team, [entries[2].pk], mate(team))
    assert going(team) == [entries[2].pk]
    assert Contest.objects.get().board_version > version, "the private board has moved"
    teams.choose(team, [entries[1].pk, entries[2].pk, entries[1].pk], captain(team))
    assert sorted(going(team)) == [entries[1].pk, entries[2].pk]
    teams.choose(team, [], captain(team))
    assert going(team) == [entries[0].pk, entries[1].pk]
    told = [(e.by, e.detail) for e in team.events.filter(kind="final")]
    assert told[0] == ("jiho", f"#{entries[2].pk}") and told[-1] == ("mina", "–")


def test_the_same_choice_again_writes_nothing(team, entries):
    teams.choose(team, [entries[2].pk], captain(team))
    teams.choose(team, [entries[2].pk], captain(team))
    assert team.events.filter(kind="final").count() == 1


def test_what_cannot_be_chosen(contest, team, entries):
    other = factories.scored(contest=contest, team=made(contest=contest))
    rejected = factories.rejected(contest=contest, team=team)
    Ruling.objects.create(
        contest=contest, kind="disqualified", submission=entries[1], reason="…", by="hana"
    )
    me = captain(team)
    refused("TEAM_FINAL_ENTRY", team, [other.submission_id], me)
    refused("TEAM_FINAL_ENTRY", team, [rejected.submission_id], me)
    refused("TEAM_FINAL_ENTRY", team, [entries[1].pk], me)
    refused("TEAM_FINAL_ENTRY", team, [0], me)
    refused("TEAM_FINAL_MANY", team, [e.pk for e in entries], me)
    refused("TEAM_NOT_MEMBER", team, [entries[0].pk], other.submission.user)


def test_after_the_date_the_choice_stays(team, entries):
    teams.choose(team, [entries[2].pk], captain(team))
    source = team.contest.version.source.replace(
        team.contest.rules.phases[0].select_until.isoformat(),
        (timezone.now() - timedelta(seconds=1)).isoformat(),
    )
    type(team.contest.version).objects.update(source=source)
    late = type(team).objects.get(pk=team.pk)
    refused("TEAM_FINAL_CLOSED", late, [entries[0].pk], captain(team))
    assert going(team) == [entries[2].pk]


def test_a_finalised_contest_takes_no_choice(team, entries):
    Contest.objects.update(finalised_at=timezone.now())
    refused("TEAM_FINAL_CLOSED", team, [entries[0].pk], captain(team))


def test_a_contest_without_a_date_shows_nothing_of_it(client):
    contest = with_phase(start=-HOUR, end=HOUR)
    team = factories.team(contest=contest)
    client.force_login(team.memberships.get().user)
    assert "Final entries" not in client.get(f"/teams/{team.pk}/", headers=EN).content.decode()


def test_the_page(client, team, entries):
    client.force_login(mate(team))
    page = client.get(f"/teams/{team.pk}/", headers=EN).content.decode()
    assert "the 2 submissions with the best public scores are used" in page
    assert len(re.findall(r" checked\s*>", page)) == 2
    address = f"/teams/{team.pk}/final/"
    assert client.post(address, {"entry": [entries[2].pk]}, headers=EN).status_code == 302
    page = client.get(f"/teams/{team.pk}/", headers=EN).content.decode()
    assert "The team has chosen its final entries" in page and "Use the best scores again" in page
    answer = client.post(address, {"entry": [e.pk for e in entries]}, headers=EN)
    assert answer.status_code == 409 and "TEAM_FINAL_MANY" in answer.content.decode()
    for nonsense in ("x", "-1", "9" * 40, "१"):
        assert client.post(address, {"entry": nonsense}, headers=EN).status_code == 409
    assert client.post(address, {}, headers=EN).status_code == 302
    assert not FinalChoice.objects.exists()


def test_staff_look_and_strangers_do_not(client, team, entries):
    client.force_login(factories.user(is_staff=True))
    page = client.get(f"/teams/{team.pk}/", headers=EN).content.decode()
    assert "Final entries" in page and "Use these as final entries" not in page
    client.force_login(factories.user())
    page = client.get(f"/teams/{team.pk}/", headers=EN).content.decode()
    assert "Final entries" not in page


def call(client, user, method="get", scopes=("read", "submit"), **body):
    token = tokens.issue_token(user, "x", scopes=list(scopes))
    return getattr(client, method)(
        "/api/contests/demo/final",
        *([json.dumps(body)] if body else []),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}", **EN},
    )


def test_by_the_api(client, team, entries):
    found = call(client, mate(team)).json()
    assert found["going"] == [entries[0].pk, entries[1].pk]
    assert (found["chosen"], found["limit"], found["may_choose"]) == (False, 2, True)
    found = call(client, mate(team), "put", submissions=[entries[2].pk]).json()
    assert (found["going"], found["chosen"]) == ([entries[2].pk], True)
    answer = call(client, mate(team), "put", submissions=[e.pk for e in entries])
    assert answer.status_code == 409 and answer.json()["code"] == "TEAM_FINAL_MANY"
    for nonsense in ([2**70], [0], ["x"], "all"):
        assert call(client, mate(team), "put", submissions=nonsense).status_code == 422
    assert call(client, mate(team), "put", scopes=["read"], submissions=[]).status_code == 403
    assert call(client, factories.user()).json()["code"] == "UPLOAD_NO_TEAM"


def test_queries_do_not_grow_with_teams(contest, team, entries):
    def count():
        with CaptureQueriesContext(connection) as found:
            ranking.board(contest, "private", only_final=True)
        return len(found)

    before = count()
    for _ in range(3):
        factories.scored(contest=contest, team=made(contest=contest))
    assert count() == before
