"""A column of the board is declared once and appears in every output."""

from __future__ import annotations

import csv
import html
import io
import json
from types import SimpleNamespace

import pytest
from django.utils import timezone

from leaderboard.api import schemas
from leaderboard.board import cached, columns
from leaderboard.models import Contest
from leaderboard.templatetags.board import cell
from tests import factories

PATH = "/contests/demo/"


@pytest.fixture
def contest(db):
    contest = factories.contest()
    factories.scored(contest=contest, kind="base", title="base", scheme="bf16", speedup=1)
    for speedup, accuracy in ((1.2, 0.4), (2.5, 0.3)):
        factories.scored(contest=contest, speedup=speedup, accuracy=accuracy)
    return contest


@pytest.mark.parametrize("column", columns.COLUMNS, ids=lambda c: c.key)
def test_every_face_of_the_board_has_the_column(client, contest, column):
    page = client.get(PATH, {"sort": column.key}, headers={"Accept-Language": "en"})
    text = html.unescape(page.content.decode())
    assert f"Sorted by {column.name};" in text
    assert f">{column.heading}<svg" in text  # the arrow is in its heading
    assert column.field in schemas.EntryOut.model_fields
    board = client.get("/api/contests/demo/board").json()
    assert all(entry[column.field] is not None for entry in board["entries"])
    exported = b"".join(client.get(PATH + "board.csv").streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(exported)))
    assert [row["team"] for row in rows] == [entry["team"] for entry in board["entries"]]
    if column.unit != "time":  # rewritten by a time zone conversion
        assert [row[column.field] for row in rows] == [
            str(e[column.field]) for e in board["entries"]
        ]
    assert all(row[column.field] for row in rows)
    told = [one["field"] for one in board["columns"]]
    assert (column.field in told) == bool(column.terminal)


def test_the_order_in_files_is_the_order_of_the_table(client, contest):
    fields = [column.field for column in columns.COLUMNS]
    entry = client.get("/api/contests/demo/board").json()["entries"][0]
    assert [name for name in entry if name in fields] == fields
    header = next(iter(client.get(PATH + "board.csv").streaming_content)).decode()
    before, _, after = header.strip().partition(",public_rank")
    assert before.endswith(",".join(fields))
    assert after == ",held,held_because"


def test_the_picture_is_told_its_axes(client, contest):
    page = client.get(PATH, headers={"Accept-Language": "ko"}).content.decode()
    axes = json.loads(html.unescape(page.partition('data-axes="')[2].partition('"')[0]))
    assert [(axis["key"], axis["unit"], axis["best"]) for axis in axes] == [
        ("bytes", "bytes", "smallest"),
        ("accuracy", "share", "largest"),
        ("speedup", "factor", "largest"),
    ]
    assert axes[0]["label"] == "체크포인트 크기"
    points = client.get(PATH + "points.json").json()
    assert all(axis["key"] in point for axis in axes for point in points)
    for _, shown in columns.PICTURES:
        assert sorted(shown) == sorted(axis["key"] for axis in axes)


def test_nobody_beats_an_entry_of_the_front(contest):
    board = cached.shown(Contest.objects.select_related("version").get(), cached.View())
    by_speed = sorted(board.entries, key=lambda entry: entry.score.speedup)
    base, slow, fast = by_speed
    assert (base.kind, slow.score.accuracy > fast.score.accuracy) == ("base", True)
    assert columns.front(board.entries) >= {slow.submission_id, fast.submission_id}
    worse = {e.submission_id for e in board.entries} - columns.front(board.entries)
    assert worse <= {base.submission_id}


def test_a_speedup_has_the_half_width_of_its_term():
    term = {"half_width": 0.01, "measured": 0.7, "base": 1.0}
    whole = {"half_width": 0.0, "measured": 0.5, "base": 1.0}
    entry = SimpleNamespace(
        terms={"accuracy": whole, "memory": whole, "speed": term},
        score=SimpleNamespace(accuracy=0.5, safetensors_bytes=10, speedup=1 / 0.7),
        submissions=3, is_ranked=False, submitted=timezone.now(),
    )  # fmt: skip
    shown = {key: cell(columns.SORTABLE[key], entry) for key in ("speedup", "size", "entries")}
    assert shown["speedup"]["note"] == "± 0.02"
    assert shown["size"]["note"].replace("\xa0", " ") == "−50 %"
    assert shown["entries"]["text"] == ""  # an organizer's row counts no entries
