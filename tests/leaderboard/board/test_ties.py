"""One checkpoint measured twice is shown as a tie on every view of the board."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from dataclasses import replace

import pytest

from leaderboard.board import ranking
from tests import factories

pytestmark = pytest.mark.django_db
PATH = "/contests/demo/"


@pytest.fixture
def contest():
    return factories.contest()


def measured_again(report, seed):
    """The same checkpoint on another day: different rounds, and a few different answers."""
    generator = random.Random(seed)
    quality = tuple(_asked_again(result, generator) for result in report.quality)
    fresh = factories.report(
        contest=factories.contest(), checkpoint=report.checkpoint, speedup=1.4, seed=seed
    )
    return replace(report, quality=quality, speed=fresh.speed)


def _asked_again(result, generator):
    flipped = set(generator.sample(range(len(result.items)), 3))
    items = tuple(
        replace(item, value=1 - item.value) if item.doc_id in flipped else item
        for item in result.items
    )
    return replace(result, items=items, value=sum(i.value for i in items) / len(items))


@pytest.fixture
def board(contest):
    """The same checkpoint from two teams, and one that is clearly worse."""
    first = factories.report(contest=contest, speedup=1.4, seed=1)
    for name, report in (("today", first), ("tomorrow", measured_again(first, 7))):
        factories.scored(
            contest=contest, team=factories.team(contest=contest, name=name), measured=report
        )
    worse = factories.team(contest=contest, name="worse")
    factories.scored(contest=contest, team=worse, speedup=1.05, scheme="bf16", accuracy=0.3, seed=3)
    return contest


def test_noise_alone_is_a_tie_and_a_difference_is_none(board):
    first, second, third = ranking.board(board).entries
    assert {first.entrant, second.entrant} == {"today", "tomorrow"}
    assert first.score.value != second.score.value  # measured, not copied
    assert [entry.tied for entry in (first, second, third)] == [False, True, False]
    assert [(e.standing.best, e.standing.worst) for e in (first, second, third)] == [
        (1, 2),
        (1, 2),
        (3, 3),
    ]


def test_page_shows_the_tie(board, client):
    html = client.get(PATH, headers={"Accept-Language": "en"}).content.decode()
    rows = html.split('<tbody id="entry-')[1:]
    assert [re.search(r"tie-\w+", row.split(">")[0]) is not None for row in rows] == [
        True,
        True,
        False,
    ]
    assert [row.count(">≈</abbr>") for row in rows] == [0, 1, 0]  # screen readers read its title
    assert [re.findall(r'class="span"[^>]*>([^<]+)<', row) for row in rows] == [
        ["1–2"],
        ["1–2"],
        [],
    ]


def test_json_and_csv_tell_the_tie(board, client):
    def read(name):
        return b"".join(client.get(f"{PATH}{name}")).decode("utf-8-sig")

    entries = json.loads(read("board.json"))["entries"]
    assert [(e["tied"], e["rank_interval"]) for e in entries] == [
        (False, [1, 2]),
        (True, [1, 2]),
        (False, [3, 3]),
    ]
    rows = csv.DictReader(io.StringIO(read("board.csv")))
    assert [row["tied"] for row in rows] == ["False", "True", "False"]
