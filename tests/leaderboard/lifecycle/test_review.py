"""Held places: who is marked as under review, until when, who may end it, and what everybody sees."""

from __future__ import annotations

import csv
import io
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from grader.protocol.documents import Check
from leaderboard import lifecycle, notifications
from leaderboard.board import ranking
from leaderboard.core.errors import Refused
from leaderboard.models import Attempt, AuditEntry, Contest, Delivery, Evaluation
from leaderboard.operations import sweeper
from leaderboard.organisers import rulings
from leaderboard.organisers.closing import obstacles
from leaderboard.submissions import queries
from tests import factories

pytestmark = pytest.mark.django_db
PEOPLE = ("owner", "teammate", "stranger", "anonymous", "staff")
ENGLISH = {"Accept-Language": "en"}
SEEDS = itertools.count(100)
MARK = ">under review</span>"


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def staff():
    return factories.user(name="staff", is_staff=True)


def graded(contest, *, flagged=False, base_factor=1.0, **about):
    about.setdefault("seed", next(SEEDS))  # the same checkpoint twice would be compared with itself
    report = factories.report(contest=contest, **about)
    if flagged:
        report = replace(report, checks=(Check("FLAG_LENGTH", "gsm8k", 0.5, 0.1, True),))
    if base_factor != 1:
        speed = [
            replace(
                shape,
                rounds=tuple(replace(r, base_s=base_factor * r.base_s) for r in shape.rounds),
            )
            for shape in report.speed
        ]
        report = replace(report, speed=tuple(speed))
    return factories.scored(contest=contest, measured=report)


def held(contest):
    board = ranking.board(Contest.objects.get(pk=contest.pk))
    return {entry.submission_id: entry.held for entry in board.entries if entry.held}


def test_the_first_place_and_every_flag_are_held(contest):
    first = graded(contest, speedup=6.0)  # by more than other answers can make up for
    graded(contest, speedup=1.2)
    flagged = graded(contest, speedup=1.2, flagged=True)
    factories.scored(contest=contest, kind="base", title="base", speedup=3.0)
    assert held(contest) == {first.submission_id: "first_place", flagged.submission_id: "flag"}
    assert Evaluation.objects.get(pk=flagged.pk).flags == ["FLAG_LENGTH"]


def test_a_new_first_place_is_held_and_the_old_one_no_more(contest):
    graded(contest, speedup=1.2)
    better = graded(contest, speedup=6.0)  # by more than other answers can make up for
    assert held(contest) == {better.submission_id: "first_place"}


def test_hours_are_the_contests_and_counted_by_the_database(contest, monkeypatch):
    entry = graded(contest)
    row = Evaluation.objects.annotate(now=Now()).get(pk=entry.pk)
    assert timedelta(hours=23.9) < row.review_until - row.now <= timedelta(hours=24)
    assert lifecycle.end_reviews() == 0
    Evaluation.objects.filter(pk=entry.pk).update(review_until=Now() - timedelta(seconds=1))
    version = Contest.objects.get().board_version
    assert held(contest)  # until it is swept
    sweeper.sweep()
    assert held(contest) == {}
    assert Contest.objects.get().board_version > version  # so no cached page keeps the mark


def test_a_contest_without_hours_holds_nothing(contest):
    source = contest.version.source.replace("[scoring]", "[scoring]\nhold_hours = 0", 1)
    type(contest.version).objects.filter(pk=contest.version.pk).update(source=source)
    graded(Contest.objects.get(), flagged=True)
    assert held(contest) == {}
    assert Delivery.objects.count() == 0


def test_staff_find_it_fine_once_and_it_is_on_record(contest, staff):
    entry = graded(contest, flagged=True)
    assert rulings.find_fine(entry.submission, by=staff, reason="answers look honest")
    assert not rulings.find_fine(entry.submission, by=staff)
    assert held(contest) == {}
    (act,) = AuditEntry.objects.filter(action="entry.reviewed")
    assert (str(act.by), act.reason) == ("staff", "answers look honest")
    assert act.after["flags"] == ["FLAG_LENGTH"]


def test_prizes_wait_for_a_look(contest, staff):
    entry = graded(contest)

    def codes():
        return [refused.code for refused in obstacles(Contest.objects.get())]

    assert "CLOSING_HELD" in codes()
    rulings.find_fine(entry.submission, by=staff)
    assert "CLOSING_HELD" not in codes()


def test_a_final_contest_is_not_touched(contest, staff):
    entry = graded(contest)
    Contest.objects.filter(pk=contest.pk).update(finalised_at=Now())
    with pytest.raises(Refused) as refused:
        rulings.find_fine(type(entry.submission).objects.get(pk=entry.submission_id), by=staff)
    assert refused.value.code == "CONTEST_FINAL"


def test_everybody_sees_the_mark_and_nobody_but_staff_the_reason(client, contest, staff):
    captain, mate = factories.user(name="owner"), factories.user(name="teammate")
    team = factories.team(contest=contest, captain=captain, members=[mate])
    report = factories.report(contest=contest)
    report = replace(report, checks=(Check("FLAG_LENGTH", "gsm8k", 0.5, 0.1, True),))
    entry = factories.scored(contest=contest, team=team, measured=report)
    people = {"owner": captain, "teammate": mate, "stranger": factories.user(), "staff": staff}
    button = f"/desk/submissions/{entry.submission_id}/fine/"
    for person in PEOPLE:
        client.logout()
        if person in people:
            client.force_login(people[person])
        page = client.get("/contests/demo/", headers=ENGLISH).content.decode()
        assert page.count(MARK) == 2, person  # the strip and the row
        assert "FLAG_LENGTH" not in page
        document = client.get("/api/contests/demo/board").json()
        (row,) = document["entries"]
        assert (row["held"], row["held_because"]) == (True, "flag")
        if person != "staff":
            assert client.post(button).status_code == (302 if person == "anonymous" else 403)
            assert held(contest)
    table = b"".join(client.get("/contests/demo/board.csv").streaming_content).decode("utf-8-sig")
    (line,) = csv.DictReader(io.StringIO(table))
    assert (line["held"], line["held_because"]) == ("True", "flag")
    assert "Looked at: fine" in client.get("/desk/", headers=ENGLISH).content.decode()
    assert client.post(button, {"from": "desk"}).headers["Location"] == "/desk/"
    assert MARK not in client.get("/contests/demo/", headers=ENGLISH).content.decode()
    assert "Looked at: fine" not in client.get("/desk/", headers=ENGLISH).content.decode()


def test_staff_are_told_by_mail_and_the_team_is_not(client, contest, staff):
    captain = factories.user(name="owner")
    team = factories.team(contest=contest, captain=captain)
    entry = factories.scored(contest=contest, team=team)
    (row,) = Delivery.objects.filter(kind=Delivery.Kind.REVIEW)
    assert (row.target, row.key) == (staff.email, f"review/{entry.pk}")
    mail.outbox.clear()
    while notifications.are_due():
        notifications.deliver()
    (sent,) = [one for one in mail.outbox if one.to == [staff.email]]
    assert (
        sent.subject == f"[데모: 작은 EXAONE 경량화] 제출 #{entry.submission_id}: 확인이 필요합니다"
    )
    assert "현재 1위입니다." in sent.body
    client.force_login(captain)
    assert "운영진이 확인할 제출물" not in client.get(team.get_absolute_url()).content.decode()


def test_queries_do_not_grow_with_held_entries(client, contest, staff):
    client.force_login(staff)

    def count(path):
        client.get(path)
        Contest.objects.update(board_version=1 + Contest.objects.get().board_version)
        with CaptureQueriesContext(
            connection,
        ) as caught:
            client.get(path)
        return len(caught)

    graded(contest, flagged=True)
    before = {path: count(path) for path in ("/contests/demo/", "/desk/")}
    for seed in range(3):
        graded(contest, flagged=True, seed=seed)
    assert {path: count(path) for path in before} == before


def test_a_base_model_slower_than_usual_is_a_flag(contest):
    for seed in range(3):
        graded(contest, seed=seed)
    assert [set(times) for times in Attempt.objects.values_list("base_times", flat=True)] == [
        {"latency", "throughput"}
    ] * 3
    honest = graded(contest, seed=10)
    slowed = graded(contest, seed=11, base_factor=1.7)  # the demo allows 0.5
    assert Evaluation.objects.get(pk=honest.pk).flags == []
    row = queries.current_evaluation(slowed.submission)
    assert row.flags == ["FLAG_BASE_TIME"]
    shown = [check for check in queries.compliance_of(row) if check["code"] == "FLAG_BASE_TIME"]
    assert [check["flagged"] for check in shown] == [True, True]
    assert shown[0]["measured"] == pytest.approx(0.7, abs=0.1)


def test_a_team_cannot_make_a_slow_base_model_usual(contest):
    cheat = factories.team(contest=contest)

    def slowed(seed):
        report = factories.report(contest=contest, seed=seed)
        speed = [
            replace(s, rounds=tuple(replace(r, base_s=1.7 * r.base_s) for r in s.rounds))
            for s in report.speed
        ]
        report = replace(report, speed=tuple(speed))
        entry = factories.scored(contest=contest, team=cheat, measured=report)
        return Evaluation.objects.get(pk=entry.pk).flags

    for seed in range(4):
        assert slowed(seed) == []  # nothing to compare with yet, and its own do not count
    for seed in range(3):
        graded(contest, seed=20 + seed)
    assert slowed(30) == ["FLAG_BASE_TIME"]
