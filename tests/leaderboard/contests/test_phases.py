"""What the clock and organizers allow: entering with a grace period, a frozen board, rulings, the final."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, transaction
from django.utils import timezone

from leaderboard.board import ranking
from leaderboard.contests import phases
from leaderboard.core import audit
from leaderboard.models import AuditEntry, Contest, ContestVersion, FinalChoice, Ruling
from leaderboard.organisers import board_control
from tests import factories

pytestmark = pytest.mark.django_db


def with_phase(*, start: timedelta, end: timedelta, extra: str = "") -> Contest:
    """The demo contest with one phase, given relative to now."""
    contest = factories.contest()
    now = timezone.now()
    head, _, tail = contest.version.source.partition("[[phases]]")
    phase = (
        '[[phases]]\nid = "open"\ntitle = { en = "Open", ko = "상시" }\n'
        f"start = {(now + start).isoformat()}\nend = {(now + end).isoformat()}\n{extra}\n"
    )
    references = "[[references]]" + tail.partition("[[references]]")[2]
    contest.version = ContestVersion.objects.create(
        contest=contest, sha256="f" * 64, source=head + phase + references,
        folder=contest.version.folder,
    )  # fmt: skip
    contest.save(update_fields=["version"])
    return contest


HOUR = timedelta(hours=1)


def test_an_upload_begun_in_time_may_finish_within_the_grace():
    contest = with_phase(start=-2 * HOUR, end=-timedelta(minutes=5))
    now = timezone.now()
    assert phases.accepts(contest) is None
    assert phases.accepts(contest, now - timedelta(minutes=6)).id == "open"
    assert phases.accepts(contest, now - timedelta(minutes=4)) is None  # began too late


def test_after_the_grace_even_an_early_upload_is_late():
    contest = with_phase(start=-2 * HOUR, end=-timedelta(minutes=11))
    assert phases.accepts(contest, timezone.now() - HOUR) is None


def test_a_closed_or_finalised_contest_takes_nothing():
    contest = with_phase(start=-HOUR, end=HOUR)
    assert phases.accepts(contest)
    contest.is_open = False
    assert phases.accepts(contest) is None
    contest.is_open, contest.finalised_at = True, timezone.now()
    assert phases.accepts(contest) is None


def test_the_public_sees_the_board_as_it_was_when_frozen_and_staff_see_it_live():
    contest = factories.contest()
    early = factories.scored(contest=contest, ago=2 * HOUR)
    late = factories.scored(contest=contest, speedup=2.0)
    Contest.objects.filter(pk=contest.pk).update(frozen_at=timezone.now() - HOUR)
    contest.refresh_from_db()
    public = ranking.board_for(AnonymousUser(), contest)
    assert [e.submission_id for e in public.entries] == [early.submission_id]
    captain = late.submission.user
    assert len(ranking.board_for(captain, contest).entries) == 1  # its own team too
    staff = ranking.board_for(factories.user(is_staff=True), contest)
    assert [e.submission_id for e in staff.entries] == [late.submission_id, early.submission_id]


PUBLIC = [
    "/", "/contests/demo/board.json", "/contests/demo/board.csv", "/contests/demo/points.json",
    "/contests/demo/history/", "/contests/demo/history.json", "/api/contests/demo/board",
    "/api/contests/demo/history",
]  # fmt: skip
TOKEN = re.compile(
    rb'(?<=")[A-Za-z0-9]{64}(?=")'
)  # against forged forms, another one in every answer


def seen(client):
    """What anybody sees of the board: bodies and ETags, and the page's figures and rows."""
    answers = {path: client.get(path, headers={"Accept-Language": "en"}) for path in PUBLIC}
    found = {
        path: (TOKEN.sub(b"", answer.getvalue()), answer.headers.get("ETag"))
        for path, answer in answers.items()
    }
    assert all(answer.status_code == 200 for answer in answers.values()), answers
    page = client.get("/contests/demo/", headers={"Accept-Language": "en"}).content.decode()
    strip = page.partition('<dl class="strip">')[2].partition('<div id="queue"')[0]
    assert "Teams ranked" in strip
    ranking_only = client.get("/contests/demo/", headers={"HX-Request": "true"}).content
    return {**found, "strip": strip, "ranking": ranking_only}


def test_on_a_frozen_board_nothing_moves_not_even_a_count_or_an_etag(client):
    contest = factories.contest()
    team = factories.team(contest=contest, name="Hangang")
    factories.scored(contest=contest, team=team, ago=2 * HOUR, speedup=1.5)
    live = seen(client)
    Contest.objects.update(frozen_at=timezone.now())
    before = seen(client)
    factories.scored(contest=contest, team=team, speedup=1.1)
    factories.scored(contest=contest, team=team, speedup=3.0)
    factories.scored(contest=contest, speedup=2.0)
    assert seen(client) == before
    Contest.objects.update(thawed_at=timezone.now())
    after = seen(client)
    assert all(after[path] != live[path] for path in (*PUBLIC, "strip", "ranking")), "it did move"


def test_thawing_ends_a_freeze_and_a_later_freeze_begins_anew():
    contest = factories.contest()
    now = timezone.now()
    contest.frozen_at = now - HOUR
    assert phases.frozen_since(contest) == now - HOUR
    contest.thawed_at = now - HOUR / 2
    assert phases.frozen_since(contest) is None
    contest.frozen_at = now
    assert phases.frozen_since(contest) == now


def test_the_file_can_freeze_the_board():
    frozen = timezone.now() - timedelta(minutes=30)
    contest = with_phase(start=-HOUR, end=HOUR, extra=f"freeze = {frozen.isoformat()}")
    assert phases.frozen_since(contest) == frozen
    contest.thawed_at = timezone.now()
    assert phases.frozen_since(contest) is None


@pytest.mark.parametrize("by_hand", [True, False])
def test_freezing_a_frozen_board_publishes_nothing(by_hand):
    frozen = timezone.now() - timedelta(minutes=30)
    extra = "" if by_hand else f"freeze = {frozen.isoformat()}"
    contest = with_phase(start=-HOUR, end=HOUR, extra=extra)
    if by_hand:
        Contest.objects.update(frozen_at=frozen)
    factories.scored(contest=contest)
    assert not board_control.direct(contest, "freeze", by=factories.user(is_staff=True))
    contest.refresh_from_db()
    assert phases.frozen_since(contest) == frozen
    assert ranking.board_for(AnonymousUser(), contest).entries == []
    assert not AuditEntry.objects.exists()


def test_what_is_so_already_is_neither_done_nor_noted_again():
    contest, staff = factories.contest(), factories.user(is_staff=True)
    for verb in ("thaw", "freeze", "freeze", "thaw", "thaw", "reveal", "reveal"):
        board_control.direct(contest, verb, by=staff)
    noted = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(noted) == ["contest.freeze", "contest.thaw", "contest.reveal"]


@pytest.mark.parametrize("on", ["team", "submission"])
def test_a_disqualified_entry_leaves_every_board_and_comes_back(on):
    contest = factories.contest()
    evaluation = factories.scored(contest=contest)
    submission = evaluation.submission
    ruling = factories.ruling(
        "disqualified", **{on: submission.team if on == "team" else submission}
    )
    assert ranking.board(contest, with_hidden=True).entries == []
    Ruling.objects.filter(pk=ruling.pk).update(lifted=timezone.now())
    assert len(ranking.board(contest).entries) == 1


def test_a_hidden_entry_is_seen_by_staff_only():
    contest = factories.contest()
    evaluation = factories.scored(contest=contest)
    factories.ruling("hidden", submission=evaluation.submission)
    assert ranking.board_for(AnonymousUser(), contest).entries == []
    assert len(ranking.board_for(factories.user(is_staff=True), contest).entries) == 1


def test_only_the_chosen_entries_of_a_team_stand_in_the_final():
    contest = factories.contest()
    team = factories.team(contest=contest)
    best = factories.scored(contest=contest, team=team, speedup=2.0)
    chosen = factories.scored(contest=contest, team=team, speedup=1.2)
    other = factories.scored(contest=contest, speedup=1.5)  # chose nothing: its best counts
    FinalChoice.objects.create(team=team, submission=chosen.submission, by="mina")
    final = [e.submission_id for e in ranking.board(contest, only_final=True).entries]
    assert final == [other.submission_id, chosen.submission_id]
    assert ranking.board(contest).entries[0].submission_id == best.submission_id


@pytest.mark.parametrize("change", ["UPDATE {} SET reason = 'other'", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_the_audit_log(change):
    contest = factories.contest()
    audit.record("manage.py", "contest.freeze", contest, reason="finals")
    table = AuditEntry._meta.db_table
    from django.db import connection

    with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic():
        connection.cursor().execute(change.format(table))
    assert AuditEntry.objects.get().reason == "finals"
