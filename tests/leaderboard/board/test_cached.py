"""The cached board: fast, never older than a result, and available without Valkey."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis.exceptions import ConnectionError as NoValkey

from leaderboard import lifecycle
from leaderboard.board import cached
from leaderboard.core import cache
from leaderboard.models import Contest, Submission
from tests import factories

pytestmark = pytest.mark.django_db
PATH = "/contests/demo/"


@pytest.fixture
def contest():
    return factories.contest()


def page(client):
    return client.get(PATH, headers={"Accept-Language": "en"}).content.decode()


def names(client, query=""):
    html = client.get(PATH + query, headers={"Accept-Language": "en"}).content.decode()
    rows = html.split('<tbody id="entry-')[1:]
    return [row.split("</a>")[0].rpartition(">")[2] for row in rows]


def test_a_result_is_on_the_board_at_once(client, contest):
    factories.scored(contest=contest, team=factories.team(contest=contest, name="first"))
    assert names(client) == ["first"]
    factories.scored(
        contest=contest, team=factories.team(contest=contest, name="second"), speedup=3
    )
    assert names(client) == ["second", "first"]


def test_rules_that_change_change_the_board(client, contest):
    factories.scored(contest=contest)
    before = cached.version(Contest.objects.get())
    lifecycle.rescore(
        factories.scored(contest=contest), contest.version, by="test", reason="the same again"
    )  # the same score: only the version number changes
    assert cached.version(Contest.objects.get()) != before


def test_what_is_remembered_costs_no_query_of_the_board(client, contest):
    factories.scored(contest=contest)
    client.get(PATH)
    with CaptureQueriesContext(connection) as captured:
        client.get(PATH)
    assert not [q for q in captured if "leaderboard_score" in q["sql"]]


def test_another_process_finds_what_this_one_made(contest):
    factories.scored(contest=contest)
    fresh = Contest.objects.select_related("version").get()
    made = cached.shown(fresh, cached.View()).entries
    cache.forget()  # a new process has an empty local cache
    with CaptureQueriesContext(connection) as captured:
        assert cached.shown(fresh, cached.View()).entries == made
    assert not captured


def test_a_contest_that_closes_says_so_at_once(client, contest):
    assert "closed for submissions" not in page(client)
    Contest.objects.update(is_open=False)
    assert "closed for submissions" in page(client)


def test_without_valkey_the_board_is_there(client, contest, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise NoValkey("connection refused")

    factories.scored(contest=contest, team=factories.team(contest=contest, name="alone"))
    cache.forget()
    monkeypatch.setattr(cache, "_silent_until", 0.0)
    monkeypatch.setattr(cache.valkey, "get", refuse)
    monkeypatch.setattr(cache.valkey, "set", refuse)
    assert names(client) == ["alone"]
    assert cache._silent_until > 0  # and is skipped for a while


@pytest.fixture
def town(contest):
    for name, scheme, accuracy, speedup in (
        ("Tiny", "W4A16 g128", 0.30, 1.2),
        ("Fast", "W8A8", 0.40, 2.5),
        ("Sharp", "bf16", 0.45, 1.0),
    ):
        factories.scored(contest=contest, team=factories.team(contest=contest, name=name),
                         scheme=scheme, accuracy=accuracy, speedup=speedup)  # fmt: skip
    factories.scored(contest=contest, kind=Submission.Kind.REFERENCE, title="ref", speedup=1.3)
    return contest


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?sort=speedup", ["Fast", "ref", "Tiny", "Sharp"]),
        ("?sort=-speedup", ["Sharp", "Tiny", "ref", "Fast"]),
        ("?sort=team", ["Fast", "ref", "Sharp", "Tiny"]),
        ("?sort=accuracy&q=A", ["Sharp", "Fast"]),
        ("?q=zzz", []),
        ("?only=better", ["Fast"]),
        ("?only=front&sort=size", ["Tiny", "Fast", "Sharp"]),
    ],
)
def test_sorted_searched_filtered(client, town, query, shown):
    assert names(client, query) == shown


def test_a_sorted_board_says_so_and_keeps_the_ranks(client, town):
    html = client.get(PATH + "?sort=-speedup", headers={"Accept-Language": "en"}).content.decode()
    assert 'aria-sort="ascending"' in html
    assert "Sorted by speed-up; ranks are still by score." in html
    assert "in-order" not in html  # no brackets where adjacent rows are not adjacent in rank


@pytest.mark.parametrize(
    "query", ["?sort=drop table", "?page=-1", "?page=²", "?q=%00", "?page=99999", "?only=x"]
)
def test_nonsense_in_the_query_shows_the_board(client, town, query):
    assert client.get(PATH + query).status_code == 200


def test_pages_and_the_way_to_ones_own_row(client, contest, monkeypatch):
    for module in (
        "leaderboard.board.listing",
        "leaderboard.board.cached",
        "leaderboard.views.board",
    ):
        monkeypatch.setattr(f"{module}.PAGE", 2)
    captain = factories.user()
    for i in range(4):
        factories.scored(contest=contest, speedup=3 - i / 2)
    own = factories.scored(
        contest=contest, team=factories.team(contest=contest, captain=captain), speedup=0.8
    )
    assert len(names(client)) == 2
    assert len(names(client, "?page=3")) == 1
    assert len(names(client, "?page=all")) == 5
    client.force_login(captain)
    html = client.get(PATH).content.decode()
    assert html.count("<tbody id=") == 3  # the page's two, and the reader's own held at the edge
    assert f'href="?page=3#entry-{own.submission_id}"' in html


def test_own_row_is_marked_for_its_team_alone(client, contest):
    captain = factories.user()
    factories.scored(contest=contest, team=factories.team(contest=contest, captain=captain))
    assert 'class="entry mine' not in client.get(PATH).content.decode()
    client.force_login(captain)
    assert 'class="entry mine' in client.get(PATH).content.decode()


def test_a_remembered_page_tells_nobody_about_another_reader(client, contest):
    names_ = ("mina", "jun")
    people = [factories.user(name=name) for name in names_]
    teams = [factories.team(contest=contest, name=f"of {p}", captain=p) for p in people]
    entries = [factories.scored(contest=contest, team=team) for team in teams]
    for who, other, own in ((0, 1, entries[0]), (1, 0, entries[1]), (0, 1, entries[0])):
        client.force_login(people[who])
        html = client.get(PATH).content.decode()
        assert f">{names_[who]}</a>" in html and f">{names_[other]}</a>" not in html
        assert f'<tbody id="entry-{own.submission_id}" class="entry mine' in html
        assert html.count("entry mine") == 1
        assert f'data-mine="{teams[who].pk}"' in html
    client.logout()
    html = client.get(PATH).content.decode()
    assert "entry mine" not in html and not any(f">{name}</a>" in html for name in names_)


def test_the_pages_token_is_the_readers(contest):
    pages = [Client(enforce_csrf_checks=True) for _ in range(2)]
    for client in pages:
        html = client.get(PATH).content.decode()
        token = html.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        data = {"language": "ko", "next": PATH, "csrfmiddlewaretoken": token}
        assert client.post("/i18n/setlang/", data).status_code == 302


def test_a_page_that_did_not_change_is_not_sent_again(client, contest):
    captain = factories.user()
    team = factories.team(contest=contest, captain=captain)
    factories.scored(contest=contest)
    for user in (None, captain):
        if user:
            client.force_login(user)
        etag = client.get(PATH).headers["ETag"]
        assert client.get(PATH, headers={"If-None-Match": etag}).status_code == 304
        other = client.get(PATH, headers={"If-None-Match": etag, "Accept-Language": "en"})
        assert other.status_code == 200
        factories.scored(contest=contest, team=team)
        assert client.get(PATH, headers={"If-None-Match": etag}).status_code == 200


def test_a_waiting_message_is_told_once_and_to_its_reader(client, contest):
    captain = factories.user()
    factories.team(contest=contest, captain=captain)
    entry = factories.submission(contest=contest, team=captain.memberships.get().team)
    client.force_login(captain)
    client.get(PATH)
    client.post(f"/submissions/{entry.submission_id}/cancel/")
    assert 'class="messages"' in client.get(PATH).content.decode()
    assert 'class="messages"' not in client.get(PATH).content.decode()


def test_exports_stream_the_whole_board(client, town):
    as_json = client.get(PATH + "board.json")
    as_csv = client.get(PATH + "board.csv")
    assert as_json.streaming and as_csv.streaming
    document = json.loads(b"".join(as_json.streaming_content))
    text = b"".join(as_csv.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [e["team"] for e in document["entries"]] == [row["team"] for row in rows]
    assert float(rows[0]["speed_points"]) == document["entries"][0]["terms"][2]["points"]
    assert document == client.get("/api/contests/demo/board").json()


def test_a_name_is_never_a_formula_in_a_spreadsheet(client, contest):
    team = factories.team(contest=contest, name='=HYPERLINK("x")')
    factories.scored(contest=contest, team=team)
    text = b"".join(client.get(PATH + "board.csv").streaming_content).decode("utf-8-sig")
    assert next(csv.DictReader(io.StringIO(text)))["team"] == '\'=HYPERLINK("x")'


@pytest.mark.parametrize("name", ["board.json", "board.csv", "points.json"])
def test_unchanged_board_is_not_sent_again(client, town, name):
    etag = client.get(PATH + name).headers["ETag"]
    again = client.get(PATH + name, headers={"If-None-Match": etag})
    assert again.status_code == 304
    factories.scored(contest=town)
    assert client.get(PATH + name, headers={"If-None-Match": etag}).status_code == 200


def test_staff_and_the_public_do_not_share_what_is_remembered(client, contest):
    factories.scored(contest=contest)
    Contest.objects.update(frozen_at=Submission.objects.get().created)
    assert names(client) == []
    client.force_login(factories.user(is_staff=True))
    assert len(names(client)) == 1


def test_private_board_is_staffs_until_it_is_revealed(client, contest):
    factories.scored(contest=contest)
    path, staff, other = PATH + "private/", factories.user(is_staff=True), factories.user()
    assert client.get(path).status_code == 404
    client.force_login(other)
    assert client.get(path).status_code == 404
    assert path not in client.get(PATH).content.decode()
    client.force_login(staff)
    assert client.get(path).status_code == 200
    Contest.objects.update(revealed_at=timezone.now())
    client.force_login(other)
    assert client.get(path).status_code == 200
    client.logout()
    assert client.get(path).status_code == 200


def test_private_board_shows_how_far_each_team_moved(client, contest):
    for name, accuracy in (("one", 0.45), ("two", 0.40)):
        team = factories.team(contest=contest, name=name)
        score = factories.scored(contest=contest, team=team, accuracy=accuracy).score
        if name == "two":  # far ahead on the private questions
            private = {**score.private, "value": 2.0}
            type(score).objects.filter(pk=score.pk).update(private=private)
    Contest.objects.update(revealed_at=timezone.now())
    html = client.get(PATH + "private/", headers={"Accept-Language": "en"}).content.decode()
    first, second = html.split('<tbody id="entry-')[1:]
    assert ">two</a>" in first and "1 place up from the public board" in first
    assert ">one</a>" in second and "1 place down from the public board" in second
