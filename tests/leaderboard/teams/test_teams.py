"""Creating, inviting, joining, leaving, leading: one team per person, one captain per team, never too many."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from leaderboard import teams
from leaderboard.core.errors import Refused
from leaderboard.models import Contest, ContestVersion, Invitation, Membership, Team, TeamEvent
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def captain():
    return factories.user(name="mina")


@pytest.fixture
def team(contest, captain):
    return factories.team(contest=contest, captain=captain, name="Hangang")


def refused(code, act, *args):
    with pytest.raises(Refused) as caught:
        act(*args)
    assert caught.value.code == code
    return caught.value


def limit(contest, **limits):
    """Other limits, as if the organizers had loaded them."""
    lines = "\n".join(f"{key} = {value}" for key, value in limits.items())
    source = contest.version.source.replace("[limits]", f"[limits]\n{lines}", 1)
    ContestVersion.objects.filter(pk=contest.version_id).update(source=source)


def end(contest):
    source = contest.version.source.replace("2036-01-01", "2026-01-02")
    ContestVersion.objects.filter(pk=contest.version_id).update(source=source)


def link(team, captain):
    return teams.address(teams.invite(team, captain)).split("/")[2]


def members(team):
    return list(team.memberships.order_by("pk").values_list("user__username", "is_captain"))


def test_creator_is_captain_and_history_begins(team):
    assert members(team) == [("mina", True)]
    assert list(team.events.values_list("kind", "by")) == [("created", "mina")]


def test_one_team_per_person_and_contest(contest, captain, team):
    refused("TEAM_ALREADY", teams.create, contest, "Second", captain)
    assert not Team.objects.filter(name="Second").exists(), "no empty team stays behind"
    other = factories.contest(slug="other")
    assert teams.create(other, "Second", captain).memberships.count() == 1


def test_link_lets_in_until_the_team_is_full(contest, captain, team):
    limit(contest, team_size=2)
    token = link(team, captain)
    first, second = factories.user(), factories.user()
    assert teams.accept(token, first) == team
    assert teams.accept(token, first) == team, "opening it again changes nothing"
    error = refused("TEAM_FULL", teams.accept, token, second)
    assert (error.status, error.detail) == (409, "2/2")
    assert len(members(team)) == 2


def test_link_that_does_not_work(captain, team):
    token, newcomer = link(team, captain), factories.user()
    number, _, signature = token.partition(".")
    for wrong in (
        "",
        "x",
        "1.x",
        f"{int(number) + 1}.{signature}",
        token[:-1],
        f"{number}.",
        "९.x",
    ):
        assert refused("TEAM_INVITATION", teams.accept, wrong, newcomer).status == 404
    teams.revoke(team, int(number), captain)
    refused("TEAM_INVITATION", teams.accept, token, newcomer)
    refused("TEAM_INVITATION", teams.revoke, team, int(number), captain)
    old = link(team, captain)
    Invitation.objects.update(expires=Now() - timedelta(seconds=1))
    refused("TEAM_INVITATION", teams.accept, old, newcomer)
    assert members(team) == [("mina", True)]


def test_only_the_captain_invites_and_not_without_end(captain, team):
    mate = factories.user()
    teams.accept(link(team, captain), mate)
    assert refused("TEAM_CAPTAIN_ONLY", teams.invite, team, mate).status == 403
    assert refused("TEAM_NOT_MEMBER", teams.invite, team, factories.user()).status == 403
    for _ in range(4):
        teams.invite(team, captain)
    refused("TEAM_INVITATIONS", teams.invite, team, captain)


def test_links_end_when_a_member_is_removed(captain, team):
    mate = factories.user()
    token = link(team, captain)
    teams.accept(token, mate)
    teams.remove(team, mate.pk, captain)
    refused("TEAM_INVITATION", teams.accept, token, mate)
    assert members(team) == [("mina", True)]
    teams.accept(link(team, captain), mate)
    assert len(members(team)) == 2, "a new link works"


@pytest.mark.parametrize("name", ["HANGANG", "Нangang", "Ｈａｎｇａｎｇ", "Hangаng"])
def test_no_team_is_named_like_another(contest, captain, team, name):
    newcomer = factories.user()
    refused("TEAM_NAME_TAKEN", teams.create, contest, name, newcomer)
    other = teams.create(contest, "Seoul", newcomer)
    refused("TEAM_NAME_TAKEN", teams.rename, other, name, newcomer)
    teams.rename(team, name, captain)
    assert Team.objects.get(pk=team.pk).name == name, "but a team may write its own name otherwise"
    assert teams.create(factories.contest(slug="elsewhere"), name, newcomer)


def test_of_two_look_alikes_at_once_one_is_refused(transactional_db):
    contest = factories.contest()
    people, found = [factories.user(), factories.user()], []
    start = threading.Barrier(2)

    def create(name, person):
        start.wait()
        try:
            found.append(teams.create(contest, name, person).name)
        except Refused as error:
            found.append(error.code)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=create, args=pair)
        for pair in zip(("Hangang", "Hangаng"), people, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Team.objects.count() == 1
    assert "TEAM_NAME_TAKEN" in found


def test_person_of_another_team_cannot_join(contest, captain, team):
    other = factories.user()
    factories.team(contest=contest, captain=other)
    refused("TEAM_ALREADY", teams.accept, link(team, captain), other)


def test_captain_hands_over_and_leaves(contest, captain):
    jiho = factories.user(name="jiho")
    team = factories.team(contest=contest, captain=captain, members=[jiho])
    refused("TEAM_CAPTAIN_LEAVES", teams.leave, team, captain)
    refused("TEAM_CAPTAIN_ONLY", teams.hand_over, team, captain.pk, jiho)
    teams.hand_over(team, jiho.pk, captain)
    assert members(team) == [("mina", False), ("jiho", True)]
    assert teams.leave(team, captain) is False
    assert members(team) == [("jiho", True)]
    kinds = list(team.events.values_list("kind", flat=True))
    assert kinds == ["created", "captain", "left"]


def test_last_member_takes_an_unused_team_along(contest, captain, team):
    assert teams.leave(team, captain) is True
    assert not Team.objects.exists()
    assert teams.create(contest, "Hangang", captain)


@pytest.mark.parametrize("past", ["took a team in", "ruled about"])
def test_last_member_leaves_a_team_with_a_past_empty_and_shut(client, contest, captain, team, past):
    jiho, sora = factories.user(name="jiho"), factories.user(name="sora")
    if past == "ruled about":
        factories.ruling("hidden", team=team)
    else:
        other = factories.team(contest=contest, captain=jiho, name="Other")
        teams.merge(teams.offer(team, "Other", captain), jiho)
        teams.leave(Team.objects.get(pk=team.pk), jiho)
        third = factories.team(contest=contest, captain=sora, name="Third")
        teams.offer(team, "Third", captain)
    invitation = link(team, captain)
    client.force_login(captain)
    answer = client.post(f"/teams/{team.pk}/leave/", follow=True)
    assert answer.status_code == 200
    assert members(team) == []
    assert team.events.last().kind == "left"
    assert client.get(f"/teams/{team.pk}/").status_code == 200
    refused("TEAM_INVITATION", teams.accept, invitation, factories.user())
    if past != "ruled about":
        assert Team.objects.get(pk=other.pk).merged_into == team
        assert third.mergers_received.get().status == "withdrawn"
    assert teams.create(contest, "Anew", captain)


def test_last_member_of_a_team_with_entries_stays(contest, captain, team):
    """Otherwise a new team every hour would get a new quota."""
    factories.submission(contest=contest, team=team, user=captain)
    refused("TEAM_LAST_MEMBER", teams.leave, team, captain)
    assert members(team) == [("mina", True)]


def test_captain_removes_others_but_not_the_captain(contest, captain):
    jiho = factories.user(name="jiho")
    team = factories.team(contest=contest, captain=captain, members=[jiho])
    refused("TEAM_CAPTAIN_ONLY", teams.remove, team, captain.pk, jiho)
    refused("TEAM_NOT_MEMBER", teams.remove, team, captain.pk, captain)
    refused("TEAM_NOT_MEMBER", teams.remove, team, factories.user().pk, captain)
    teams.remove(team, jiho.pk, captain)
    assert members(team) == [("mina", True)]


def test_new_name_is_on_the_board_at_once(contest, captain, team):
    factories.team(contest=contest, name="Taken")
    refused("TEAM_NAME_TAKEN", teams.rename, team, "Taken", captain)
    before = Contest.objects.get(pk=contest.pk).board_version
    teams.rename(team, "한강", captain)
    team.refresh_from_db()
    assert team.name == "한강"
    assert Contest.objects.get(pk=contest.pk).board_version > before
    assert team.events.last().detail == "Hangang → 한강"


def test_nothing_moves_after_the_end(contest, captain):
    jiho = factories.user(name="jiho")
    team = factories.team(contest=contest, captain=captain, members=[jiho])
    token = link(team, captain)
    end(contest)
    for act, *args in (
        (teams.accept, token, factories.user()), (teams.invite, team, captain),
        (teams.leave, team, jiho), (teams.remove, team, jiho.pk, captain),
        (teams.hand_over, team, jiho.pk, captain), (teams.rename, team, "x", captain),
        (teams.offer, team, "x", captain),
    ):  # fmt: skip
        refused("TEAM_CLOSED", act, *args)
    fresh = Contest.objects.select_related("version").get(pk=contest.pk)
    refused("TEAM_CLOSED", teams.create, fresh, "Late", factories.user())
    assert members(team) == [("mina", True), ("jiho", False)]


def test_finalised_contest_is_over_whatever_its_dates(contest, captain, team):
    Contest.objects.update(finalised_at=Now())
    refused("TEAM_CLOSED", teams.invite, team, captain)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", ["two into one place", "one into two teams"])
def test_two_at_the_same_moment(case):
    contest = factories.contest()
    captain = factories.user(name="mina")
    team = factories.team(contest=contest, captain=captain)
    if case == "two into one place":
        limit(contest, team_size=2)
        token = link(team, captain)
        tries = [(token, factories.user()), (token, factories.user())]
        expected = "TEAM_FULL"
    else:
        other = factories.user()
        second = factories.team(contest=contest, captain=other)
        person = factories.user()
        tries = [(link(team, captain), person), (link(second, other), person)]
        expected = "TEAM_ALREADY"
    before, barrier, outcomes = Membership.objects.count(), threading.Barrier(2), []

    def run(token, user):
        barrier.wait()
        try:
            teams.accept(token, user)
            outcomes.append("in")
        except Refused as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=args) for args in tries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == sorted(["in", expected])
    assert Membership.objects.count() == before + 1


def test_history_is_written_by_every_verb():
    assert {kind.value for kind in TeamEvent.Kind} == {
        "created", "joined", "left", "removed", "captain", "renamed", "merged", "final",
    }  # fmt: skip
