"""The team's page and its forms: every verb, and a refusal with its status and code."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leaderboard import teams
from leaderboard.models import Delivery, Team, Webhook
from tests import factories

pytestmark = pytest.mark.django_db
EN = {"Accept-Language": "en"}


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def team(contest):
    mina, jiho = factories.user(name="mina"), factories.user(name="jiho")
    return factories.team(contest=contest, captain=mina, members=[jiho], name="Hangang")


@pytest.fixture
def captain(client, team):
    client.force_login(team.memberships.get(is_captain=True).user)
    return client


def act(client, team, verb, **data):
    return client.post(f"/teams/{team.pk}/{verb}/", data, headers=EN)


def test_a_team_is_made_and_the_next_page_is_submitting(client, contest):
    client.force_login(factories.user())
    response = client.post("/contests/demo/team/", {"name": "  New \t team "})
    assert response.headers["Location"] == "/contests/demo/submit/"
    assert Team.objects.get().name == "New team"


@pytest.mark.parametrize("name", ["", "x" * 41, "a\u202eb", "hangang"])
def test_names_that_cannot_be(client, contest, team, name):
    client.force_login(factories.user())
    response = client.post("/contests/demo/team/", {"name": name}, headers=EN)
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert Team.objects.count() == 1


def test_the_way_in_by_a_link(client, captain, team):
    assert act(captain, team, "invite").status_code == 302
    page = captain.get(f"/teams/{team.pk}/").content.decode()
    path = re.search(r'value="https?://[^/"]+(/join/[^"]+)"', page)[1]
    visitor = client.__class__(headers=EN)
    shown = visitor.get(path).content.decode()
    assert "Join Hangang" in shown and "/login/?next=/join/" in shown
    assert visitor.post(path).status_code == 200, "nobody joins without an account"
    person = factories.user(name="sena")
    visitor.force_login(person)
    assert visitor.post(path).headers["Location"] == f"/teams/{team.pk}/"
    assert team.memberships.filter(user=person).exists()


def test_a_link_that_does_not_work_says_so(client):
    response = client.get("/join/1.forged/", headers=EN)
    assert response.status_code == 404
    assert "TEAM_INVITATION" in response.content.decode()


def test_refusal_is_shown_on_the_page_with_its_status(captain, team):
    response = act(captain, team, "leave")
    assert response.status_code == 409
    text = response.content.decode()
    assert "TEAM_CAPTAIN_LEAVES" in text and "Make another member captain first." in text


def test_every_verb_refuses_a_mate_who_is_not_captain(client, team):
    client.force_login(team.memberships.get(is_captain=False).user)
    before = list(team.memberships.values())
    for verb in ("rename", "remove", "captain", "invite", "revoke", "offer", "webhook"):
        response = act(client, team, verb, name="x", member=1, invitation=1)
        assert response.status_code == 403, verb
        assert "TEAM_CAPTAIN_ONLY" in response.content.decode()
    assert list(team.memberships.values()) == before


def test_numbers_from_a_form_may_be_anything(captain, team):
    for number in ("", "x", "-1", "9" * 30, "१"):
        assert act(captain, team, "remove", member=number).status_code == 404
        assert act(captain, team, "revoke", invitation=number).status_code == 404
        assert act(captain, team, "accept", merger=number).status_code == 404


def test_remove_hand_over_and_rename(captain, team):
    jiho = team.memberships.get(is_captain=False).user
    assert act(captain, team, "rename", name="한강").status_code == 302
    assert act(captain, team, "rename", name="").status_code == 400
    assert act(captain, team, "captain", member=jiho.pk).status_code == 302
    team.refresh_from_db()
    assert (team.name, team.memberships.get(is_captain=True).user) == ("한강", jiho)


def test_merging_over_the_pages(client, captain, contest, team):
    other = factories.user(name="other")
    second = factories.team(contest=contest, captain=other, name="Second")
    act(captain, team, "offer", name="Second")
    theirs = client.__class__(headers=EN)
    theirs.force_login(other)
    page = theirs.get(f"/teams/{second.pk}/").content.decode()
    merger = re.search(r'name="merger" value="(\d+)"', page)[1]
    assert act(captain, team, "accept", merger=merger).status_code == 403
    response = act(theirs, second, "accept", merger=merger)
    assert response.headers["Location"] == f"/teams/{team.pk}/"
    assert team.memberships.count() == 3


def test_mail_choices_are_ones_own(captain, team):
    act(captain, team, "mails", kinds=["scored", "failed"])
    assert act(captain, team, "mails", kinds=["nonsense"]).status_code == 302
    kinds = dict(team.memberships.values_list("user__username", "mail_kinds"))
    assert kinds == {"mina": ["scored", "failed"], "jiho": []}


def test_webhook_secret_is_shown_once(captain, team):
    form = {"url": "https://hooks.example.org/x", "kinds": ["scored"]}
    first = act(captain, team, "webhook", **form)
    secret = Webhook.objects.get().secret
    assert secret in first.content.decode()
    assert secret not in captain.get(f"/teams/{team.pk}/").content.decode()
    assert act(captain, team, "webhook", **form | {"kinds": ["failed"]}).status_code == 302
    assert Webhook.objects.get().secret == secret
    renewed = act(captain, team, "webhook", **form, renew="1").content.decode()
    assert Webhook.objects.get().secret in renewed
    assert Webhook.objects.get().secret != secret
    act(captain, team, "webhook", remove="1")
    assert not Webhook.objects.exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://x.example/", "must start with https://"),
        ("https://", "cannot be"),
        ("https://[::1", "cannot be"),
    ],
)
def test_wrong_address_is_refused_in_the_form(captain, team, url, words):
    response = act(captain, team, "webhook", url=url, kinds=["scored"])
    assert response.status_code == 400
    assert words in response.content.decode()
    assert not Webhook.objects.exists()


def test_test_message_goes_where_messages_go(captain, team):
    act(captain, team, "test")
    assert not Delivery.objects.exists()
    act(captain, team, "mails", kinds=["scored"])
    act(captain, team, "webhook", url="https://hooks.example.org/x", kinds=["scored"])
    act(captain, team, "test")
    assert sorted(Delivery.objects.values_list("channel", "kind")) == [
        ("mail", "test"),
        ("webhook", "test"),
    ]
    page = captain.get(f"/teams/{team.pk}/", headers=EN).content.decode()
    assert "test message" in page


def test_settings_links_and_log_are_for_members(client, captain, team):
    act(captain, team, "invite")
    act(captain, team, "webhook", url="https://hooks.example.org/x", kinds=["scored"])
    act(captain, team, "test")
    private = ("/join/", "hooks.example.org", "Send a test message")
    stranger = client.__class__(headers=EN)
    for person in (None, factories.user(name="stranger")):
        if person:
            stranger.force_login(person)
        page = stranger.get(f"/teams/{team.pk}/").content.decode()
        assert [word for word in private if word in page] == []
        assert "Hangang" in page
    page = captain.get(f"/teams/{team.pk}/", headers=EN).content.decode()
    assert [word for word in private if word not in page] == []


def test_closed_contest_shows_no_buttons(client, captain, contest, team):
    contest.__class__.objects.update(finalised_at="2026-01-01T00:00Z")
    page = captain.get(f"/teams/{team.pk}/", headers=EN).content.decode()
    assert "teams can no longer change" in page
    assert "/invite/" not in page and "/leave/" not in page


def test_page_costs_the_same_for_a_long_log(captain, team, contest):
    def cost():
        with CaptureQueriesContext(connection) as captured:
            assert captain.get(f"/teams/{team.pk}/").status_code == 200
        return len(captured)

    act(captain, team, "mails", kinds=["scored", "rejected"])
    factories.rejected(contest=contest, team=team)
    cost()
    before = cost()
    for _ in range(3):
        factories.rejected(contest=contest, team=team)
    team.events.create(kind="joined", by="x")
    assert cost() == before
    assert teams.is_closed(contest) is False


def test_a_nul_in_a_form_is_nobodys_name(captain, team):
    answer = act(captain, team, "offer", name="Nob\0ody")
    assert answer.status_code == 404
    assert "TEAM_UNKNOWN" in answer.content.decode()


def test_the_last_answer_is_told_in_korean(captain, team):
    for code, parameters in (("not_https", {}), ("text", {"text": "HTTP 503"})):
        Delivery.objects.create(
            team=team, kind="test", key=code, channel="webhook", target="x",
            answer_code=code, answer_parameters=parameters,
        )  # fmt: skip
    html = captain.get(f"/teams/{team.pk}/", headers={"Accept-Language": "ko"}).content.decode()
    assert "https 주소가 아님" in html and "not an https" not in html
    assert "HTTP 503" in html
