"""Which board a contest's own address shows: the public one until the final result is out, then that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from leaderboard.models import Batch, Contest
from tests import factories

pytestmark = pytest.mark.django_db
PATH = "/contests/demo/"


@pytest.fixture
def contest():
    """``loud`` leads on the public questions, ``quiet`` on the private ones."""
    row = factories.contest()
    for name, accuracy in (("loud", 0.45), ("quiet", 0.40)):
        team = factories.team(contest=row, name=name)
        score = factories.scored(contest=row, team=team, accuracy=accuracy).score
        if name == "quiet":
            type(score).objects.filter(pk=score.pk).update(private={**score.private, "value": 2.0})
    return Contest.objects.select_related("version").get()


def read(client, path=PATH, language="en"):
    return client.get(path, headers={"Accept-Language": language}).content.decode()


def first(html):
    return html.split('class="leader"')[1].split("</dd>")[0]


READERS = ("anonymous", "owner", "teammate", "stranger")


def log_in(client, contest, who):
    team = contest.teams.get(name="quiet")
    if who == "owner":
        client.force_login(team.memberships.get().user)
    if who == "teammate":
        mate = factories.user()
        team.memberships.create(user=mate, contest=contest)
        client.force_login(mate)
    if who == "stranger":
        client.force_login(factories.user())


@pytest.mark.parametrize("who", READERS)
def test_before_the_reveal_nothing_private_shows(client, contest, who):
    log_in(client, contest, who)
    for path in (PATH, f"{PATH}public/", "/"):
        html = read(client, path)
        assert "2.0000" not in html
        assert "Final result" not in html
    assert "loud" in first(read(client)) and "1st place" in first(read(client))


@pytest.mark.parametrize("who", READERS)
def test_after_it_the_contests_own_address_is_the_final_result(client, contest, who):
    log_in(client, contest, who)
    Contest.objects.update(revealed_at=timezone.now(), finalised_at=timezone.now())
    html = read(client)
    assert "quiet" in first(html) and "Winner" in first(html)
    assert "final result</h1>" in html
    assert f'href="{PATH}public/"' in html
    public = read(client, f"{PATH}public/")
    assert "loud" in first(public) and "1st place" in first(public)
    assert "The final result counts the private questions" in public
    assert f'hx-get="{PATH}public/"' in public and f'hx-get="{PATH}"' in html
    card = read(client, "/")
    assert "quiet · 2.0000" in card and "Winner" in card


def test_a_revealed_result_that_is_not_final_yet_names_no_winner(client, contest):
    Contest.objects.update(revealed_at=timezone.now())
    html = read(client)
    assert "quiet" in first(html) and "1st place" in first(html) and "Winner" not in html


def test_the_lead_is_told_with_whether_it_is_significant(client, contest):
    assert "ahead of quiet" in first(read(client))
    assert "significant" in first(read(client))
    assert "quiet보다" in first(read(client, language="ko"))


def test_a_single_entry_leads_nobody(client):
    row = factories.contest()
    factories.scored(contest=row)
    assert "ahead of" not in read(client)


def test_a_frozen_board_says_so_to_everybody(client, contest):
    assert "The public board is frozen." not in read(client)
    Contest.objects.update(frozen_at=timezone.now())
    assert "The public board is frozen." in read(client)
    assert "동결되었습니다" in read(client, language="ko")
    Contest.objects.update(thawed_at=timezone.now() + timedelta(seconds=1))
    assert "The public board is frozen." not in read(client)


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("rescore", "running", "All entries are being rescored."),
        ("regrade", "running", "Entries are being graded again."),
        ("rescore", "ready", "New scores are being reviewed."),
        ("rescore", "draft", None),
        ("rescore", "cancelled", None),
    ],
)
def test_a_batch_under_way_is_said(client, contest, monkeypatch, kind, status, words):
    Batch.objects.create(
        contest=contest, kind=kind, status=status, reason="x", version=contest.version,
        old_version=contest.version, code_version="x", by="x",
    )  # fmt: skip
    html = read(client)
    assert ('class="board-notices"' in html) is (words is not None)
    assert words is None or words in html


def test_rules_that_wait_are_said(client, contest):
    Contest.objects.update(pending=contest.version)
    assert "New rules are waiting." in read(client)


def test_the_last_day_of_a_phase_is_said(client, contest):
    source = contest.version.source
    phase = contest.rules.phases[0]
    soon = (timezone.now() + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "Submissions close soon." not in read(client)
    lines = [f"end = {soon}" if line.startswith("end =") else line for line in source.splitlines()]
    type(contest.version).objects.update(source="\n".join(lines))
    Contest.objects.update(is_open=True)
    assert phase.end > timezone.now() + timedelta(days=2)
    assert "Submissions close soon." in read(client)


def test_once_the_result_is_out_no_notice_is_left(client, contest):
    Contest.objects.update(
        frozen_at=timezone.now(), pending=contest.version, revealed_at=timezone.now()
    )
    assert 'class="board-notices"' not in read(client)
