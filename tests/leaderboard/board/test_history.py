"""Scores over time, and how ranks moved from the public to the private board."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leaderboard.models import Contest
from tests import factories

pytestmark = pytest.mark.django_db
PATH = "/contests/demo/history/"
PRIVATE = "/contests/demo/private/"


@pytest.fixture
def contest():
    return factories.contest()


def english(client, path):
    return client.get(path, headers={"Accept-Language": "en"}).content.decode()


def entry(contest, name, *speedups):
    team = factories.team(contest=contest, name=name)
    days = len(speedups)
    rows = [
        factories.scored(contest=contest, team=team, speedup=s, ago=timedelta(days=days - i))
        for i, s in enumerate(speedups)
    ]
    return rows[-1]


def test_the_table_holds_what_the_picture_shows(client, contest):
    entry(contest, "Hangang", 1.1, 1.0, 1.4)
    entry(contest, "Nabi", 1.2)
    html, lines = english(client, PATH), client.get("/contests/demo/history.json").json()["lines"]
    assert [(line["team"], len(line["steps"])) for line in lines] == [("Hangang", 2), ("Nabi", 1)]
    for line in lines:
        assert line["team"] in html
        for step in line["steps"]:
            assert f"{step['score']:.4f}" in html
    assert "2 improvements" in html and re.search(r"1 improvement\s*<", html)


def test_ones_own_team_is_marked_for_its_members_alone(client, contest, monkeypatch):
    monkeypatch.setattr("leaderboard.board.cached.LINES", 1)
    captain = factories.user()
    team = factories.team(contest=contest, name="mine", captain=captain)
    factories.scored(contest=contest, team=team, speedup=1.1)
    entry(contest, "first", 2)
    assert "mine-line" not in english(client, PATH)
    client.force_login(captain)
    assert "mine-line" in english(client, PATH)
    lines = client.get("/contests/demo/history.json").json()["lines"]
    assert [(line["team"], line["mine"]) for line in lines] == [("first", False), ("mine", True)]


def test_queries_do_not_grow_with_entries(client, contest):
    counts = []
    for n in (1, 3):
        entry(contest, f"team {n}", *(1 + 0.1 * i for i in range(n)))
        with CaptureQueriesContext(connection) as captured:
            client.get(PATH)
        counts.append(len(captured))
    assert counts[0] == counts[1]


@pytest.fixture
def moved(contest):
    """Two teams, the second of which is far ahead on the private questions."""
    entry(contest, "one", 1.5)
    score = entry(contest, "two", 1.2).score
    type(score).objects.filter(pk=score.pk).update(private={**score.private, "value": 2.0})
    return contest


ANSWERS = ("", "?sort=team", "private/", "private/?page=all", "board.json", "board.csv?part=private",
           "points.json?part=private", "history.json", "history/")  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("htmx", [{}, {"HX-Request": "true"}])
def test_no_shared_cache_keeps_a_board_that_staff_saw(client, moved, name, htmx):
    client.force_login(factories.user(is_staff=True))
    answer = client.get(f"/contests/demo/{name}", headers=htmx)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-cache"


FILES = ("board.json", "board.csv", "points.json", "history.json", "history/")


@pytest.mark.parametrize("name", FILES)
def test_files_of_the_private_board_are_closed_until_it_is_revealed(client, moved, name):
    path = f"/contests/demo/{name}?part=private"
    assert client.get(path).status_code == 404
    client.force_login(factories.user(is_staff=True))
    assert client.get(path).status_code == 200
    client.logout()
    Contest.objects.update(revealed_at=timezone.now())
    assert client.get(path).status_code == 200


def exported(client, query=""):
    answer = client.get(f"/contests/demo/board.csv{query}")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text))
    return answer, [(row["team"], row["rank"], row["public_rank"]) for row in rows]


def test_the_private_export_tells_both_ranks(client, moved):
    Contest.objects.update(revealed_at=timezone.now())
    answer, rows = exported(client, "?part=private")
    assert 'filename="demo-private-board.csv"' in answer.headers["Content-Disposition"]
    assert rows == [("two", "1", "2"), ("one", "2", "1")]
    assert exported(client)[1] == [("one", "1", ""), ("two", "2", "")]


def test_both_ranks_count_the_teams_that_the_reader_sees(client, moved):
    hidden = factories.scored(contest=moved, speedup=2.0).submission.team
    factories.ruling("hidden", team=hidden)
    Contest.objects.update(revealed_at=timezone.now())
    assert exported(client, "?part=private")[1] == [("two", "1", "2"), ("one", "2", "1")]
    client.force_login(factories.user(is_staff=True))
    ranks = {team: public for team, _, public in exported(client, "?part=private")[1]}
    assert ranks == {hidden.name: "1", "one": "2", "two": "3"}
    assert [row[0] for row in exported(client)[1]] == [hidden.name, "one", "two"]


def test_the_private_board_shows_its_own_picture_and_who_moved(client, moved):
    Contest.objects.update(revealed_at=timezone.now())
    html = english(client, PRIVATE)
    assert "/contests/demo/points.json?part=private" in html
    assert "2 of 2 teams changed rank." in html
    assert "Furthest up: two (▲1)." in html and "Furthest down: one (▼1)." in html
    assert "2 of 2 teams changed rank." in english(client, "/contests/demo/")
    assert "changed rank" not in english(client, "/contests/demo/public/")
