"""Staff's pages of a contest, a team and a submission, and the team's notification of a ruling."""

from __future__ import annotations

import re
import zipfile
from datetime import timedelta
from io import BytesIO

import pytest
from django.contrib.auth.models import AnonymousUser, Permission
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from grader.problems.catalogue import Problem
from leaderboard import notifications
from leaderboard.board import ranking
from leaderboard.models import (
    AuditEntry,
    Contest,
    Delivery,
    Profile,
    QuotaGrant,
    Result,
    Ruling,
    Webhook,
)
from leaderboard.submissions import quota
from leaderboard.templatetags.numbers import filesize_si
from tests import factories
from tests.leaderboard.organisers.test_closing import over

pytestmark = pytest.mark.django_db
EN = {"Accept-Language": "en"}


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def team(contest):
    mina, jiho = factories.user(name="mina"), factories.user(name="jiho")
    for person in (mina, jiho):
        Profile.objects.create(user=person, language="en")
    return factories.team(contest=contest, captain=mina, members=[jiho], name="Hangang")


@pytest.fixture
def entry(contest, team):
    return factories.scored(contest=contest, team=team).submission


@pytest.fixture
def staff(client):
    client.force_login(factories.user(name="hana", is_staff=True))
    return client


def assistant(client, *permissions):
    user = factories.user()
    user.is_staff = True
    user.save(update_fields=["is_staff"])
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def post(client, path, **data):
    return client.post(path, data, headers=EN, follow=True)


def page(client, path):
    answer = client.get(path, headers=EN)
    assert answer.status_code == 200, path
    return re.sub(r"[ \n]+", " ", answer.content.decode())  # as a browser reads it


def entrants(contest):
    return [e.entrant for e in ranking.board_for(AnonymousUser(), contest).entries]


def test_a_team_is_disqualified_told_why_and_reinstated(contest, team, entry, staff):
    shown = post(staff, f"/desk/teams/{team.pk}/disqualify/", reason="Two accounts, one person",
                 evidence="same address")  # fmt: skip
    assert "The team has been notified" in shown.content.decode()
    assert entrants(contest) == []
    (ruling,) = Ruling.objects.all()
    assert (ruling.by, ruling.evidence) == ("hana", "same address")
    told = {(row.target, row.event["type"]) for row in Delivery.objects.all()}
    assert told == {("mina@example.org", "team.ruling"), ("jiho@example.org", "team.ruling")}
    while notifications.are_due():
        notifications.deliver()
    letter = mail.outbox[0]
    assert letter.subject.endswith("Team Hangang: ruling by the organizers")
    assert "have disqualified team Hangang" in letter.body
    assert "Two accounts, one person" in letter.body and "same address" not in letter.body
    for path, person in (
        (f"/teams/{team.pk}/", "mina"),
        (f"/submissions/{entry.pk}/", "jiho"),
    ):
        member = staff.__class__()
        member.force_login(team.memberships.get(user__username=person).user)
        text = page(member, path)
        assert "The organizers have disqualified this team." in text
        assert "Two accounts, one person" in text and "same address" not in text
    stranger = staff.__class__()
    assert "Two accounts" not in page(stranger, f"/teams/{team.pk}/")
    post(staff, f"/desk/rulings/{ruling.pk}/lift/", reason="It was two people")
    assert entrants(contest) == ["Hangang"]
    ruling.refresh_from_db()
    assert (ruling.lifted_by, ruling.lifted_reason) == ("hana", "It was two people")
    text = page(staff, f"/desk/teams/{team.pk}/")
    assert "It was two people" in text and "ruling.lift" in text and "same address" in text
    assert "The organizers have disqualified" not in page(staff, f"/teams/{team.pk}/")
    assert Delivery.objects.filter(event__data__ruling="lifted").count() == 2


def test_one_entry_is_disqualified_and_the_next_best_stands(contest, team, entry, staff):
    better = factories.scored(contest=contest, team=team, speedup=2.5).submission
    Webhook.objects.create(team=team, url="https://hooks.example.org/x", secret="whsec_x", kinds=[])
    post(staff, f"/desk/submissions/{better.pk}/disqualify/", reason="Not the team's own weights")
    assert ranking.board(contest).entries[0].submission_id == entry.pk
    told = Delivery.objects.get(channel="webhook")
    assert told.event["data"]["submission"] == better.pk
    assert told.event["data"]["ruling"] == "disqualified"
    assert f"disqualified submission #{better.pk}" in page(staff, f"/submissions/{better.pk}/")
    assert "Not the team&#x27;s own weights" in page(staff, f"/desk/teams/{team.pk}/")


def test_hiding_leaves_it_to_staff(contest, team, entry, staff):
    post(staff, f"/desk/submissions/{entry.pk}/hide/", reason="We look into it")
    assert entrants(contest) == []
    assert len(ranking.board(contest, with_hidden=True).entries) == 1


def test_what_is_refused_is_said_with_its_code(contest, team, staff):
    path = f"/desk/teams/{team.pk}/disqualify/"
    answer = staff.post(path, {"reason": "  "}, headers=EN)
    assert answer.status_code == 400 and "RULING_REASON" in answer.content.decode()
    post(staff, path, reason="x")
    answer = staff.post(path, {"reason": "again"}, headers=EN)
    assert answer.status_code == 409 and "RULING_ALREADY" in answer.content.decode()
    assert Ruling.objects.count() == 1
    lift = f"/desk/rulings/{Ruling.objects.get().pk}/lift/"
    post(staff, lift)
    assert "Nothing changed" in post(staff, lift).content.decode()


def test_quota_is_granted_with_a_reason(team, staff):
    before = quota.of(team).limit
    path = f"/desk/teams/{team.pk}/grant/"
    assert "Granted for today" in post(staff, path, extra="3", reason="our outage").content.decode()
    assert quota.of(team).limit == before + 3
    for extra, reason in (
        ("0", "x"),
        ("-1", "x"),
        ("x", "x"),
        ("٣", "x"),
        ("9" * 9, "x"),
        ("1", ""),
    ):
        assert "A grant needs" in post(staff, path, extra=extra, reason=reason).content.decode()
    assert QuotaGrant.objects.count() == 1
    assert "our outage" in page(staff, f"/desk/teams/{team.pk}/")


def test_staff_without_the_permission_look_and_do_not_act(contest, team, entry, client):
    assistant(client)
    for path in (
        f"/desk/teams/{team.pk}/",
        f"/desk/submissions/{entry.pk}/",
        "/desk/contests/demo/",
    ):
        assert '<form method="post"' not in page(client, path).partition("<main")[2]
    for path in (
        f"/desk/teams/{team.pk}/disqualify/",
        f"/desk/teams/{team.pk}/grant/",
        f"/desk/submissions/{entry.pk}/hide/",
        "/desk/contests/demo/freeze/",
        "/desk/contests/demo/finalise/",
    ):
        assert client.post(path, {"reason": "x", "extra": "1"}).status_code == 403, path
    assert client.get("/desk/contests/demo/evidence.zip").status_code == 403
    assert not Ruling.objects.exists() and not QuotaGrant.objects.exists()


def test_the_page_of_a_submission_shows_how_it_came_about(contest, team, entry, staff):
    result = Result.objects.get(evaluation__submission=entry)
    flag = {"code": "FLAG_LENGTH", "where": "gsm8k", "measured": 0.4, "limit": 0.1, "flagged": True,
            "detail": "shorter"}  # fmt: skip
    Result.objects.filter(pk=result.pk).update(report=result.report | {"checks": [flag]})
    text = page(staff, f"/desk/submissions/{entry.pk}/")
    for part in (
        "FLAG_LENGTH",
        "attempt 1",
        "gpu-1",
        "AMD EPYC",
        "vllm 0.32.0, ",
        filesize_si(64 * 1024**3),
        entry.archive_sha256,
        "queued → running",
    ):
        assert part in text, part
    assert "FLAG_LENGTH" in page(staff, f"/desk/teams/{team.pk}/")


def test_the_log_of_a_broken_attempt_is_there_and_harmless(contest, team, staff):
    evaluation = factories.running(evaluation=factories.submission(contest=contest, team=team))
    from leaderboard import lifecycle

    lifecycle.fail(evaluation.pk, 1, [Problem("SYS_NOISY")], "<script>alert(1)</script>")
    text = page(staff, f"/desk/submissions/{evaluation.submission_id}/")
    assert "&lt;script&gt;alert(1)" in text and "<script>alert" not in text
    assert "SYS_NOISY" in text


def test_queries_do_not_grow_with_entries(contest, team, entry, staff):
    def count():
        with CaptureQueriesContext(connection) as found:
            page(staff, f"/desk/teams/{team.pk}/")
            page(staff, "/desk/contests/demo/")
        return len(found)

    count()
    before = count()
    for _ in range(3):
        factories.scored(contest=contest, team=team)
        factories.team(contest=contest)
    assert count() == before


def test_freezing_thawing_and_revealing_with_a_reason(contest, staff):
    for verb, field in (("freeze", "frozen_at"), ("thaw", "thawed_at"), ("reveal", "revealed_at")):
        post(staff, f"/desk/contests/demo/{verb}/", reason=f"to {verb}")
        assert getattr(Contest.objects.get(), field) is not None
        act = AuditEntry.objects.get(action=f"contest.{verb}")
        assert (act.by_name, act.reason) == ("hana", f"to {verb}")


def test_a_nul_in_a_reason_is_left_out(contest, team, entry, staff):
    post(staff, f"/desk/teams/{team.pk}/hide/", reason="two\0 teams", evidence="same\0 key")
    post(staff, f"/desk/teams/{team.pk}/grant/", extra="1", reason="ours\0")
    post(staff, "/desk/contests/demo/freeze/", reason="fin\0als")
    post(staff, f"/desk/workers/{factories.worker().pk}/drain/", why="hot\0")
    noted = AuditEntry.objects.order_by("pk").values_list("reason", flat=True)
    assert list(noted) == ["two teams", "ours", "finals", "hot"]
    assert Ruling.objects.get().evidence == "same key"


def test_a_stale_tab_is_told_that_the_board_is_frozen_already(contest, staff):
    post(staff, "/desk/contests/demo/freeze/")
    since = Contest.objects.get().frozen_at
    shown = post(staff, "/desk/contests/demo/freeze/").content.decode()
    assert "it was already in that state" in shown
    assert Contest.objects.get().frozen_at == since


def test_a_contest_is_finalised_in_the_browser_and_its_evidence_fetched(staff):
    contest = over()
    path = "/desk/contests/demo/finalise/"
    answer = staff.post(path, {"reason": "all is answered", "name": "dem"}, headers=EN)
    assert answer.status_code == 400 and not Contest.objects.get().finalised_at
    answer = staff.post(path, {"reason": " ", "name": "demo"}, headers=EN)
    assert answer.status_code == 409 and "CLOSING_REASON" in answer.content.decode()
    shown = post(staff, path, reason="all is answered", name="demo").content.decode()
    assert "The result is final" in shown and "Download the evidence" in shown
    answer = staff.get("/desk/contests/demo/evidence.zip")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="demo-evidence.zip"'
    assert "no-store" in answer.headers["Cache-Control"]
    archive = zipfile.ZipFile(BytesIO(b"".join(answer.streaming_content)))
    assert "MANIFEST.sha256" in archive.namelist()
    answer = staff.post("/desk/contests/demo/freeze/", headers=EN)
    assert answer.status_code == 409 and "CONTEST_FINAL" in answer.content.decode()
    team = contest.teams.first()
    answer = staff.post(f"/desk/teams/{team.pk}/disqualify/", {"reason": "x"}, headers=EN)
    assert answer.status_code == 409 and "CONTEST_FINAL" in answer.content.decode()
    form = {"contest": "demo", "kind": "hidden", "team": team.pk, "reason": "x"}
    answer = staff.post("/admin/leaderboard/ruling/add/", form, headers=EN)
    assert answer.status_code == 200 and "The contest is final" in answer.content.decode()
    assert staff.post(f"/admin/leaderboard/team/{team.pk}/change/", {}).status_code == 403
    form = {"is_open": "on", "is_listed": "on"}
    assert staff.post("/admin/leaderboard/contest/demo/change/", form).status_code == 302
    assert not Contest.objects.get().is_open
    assert not Ruling.objects.exists()


def test_what_stands_in_the_way_is_listed_and_there_is_no_button(contest, staff):
    text = page(staff, "/desk/contests/demo/")
    assert "The last phase" in text and "/finalise/" not in text
    answer = staff.post(
        "/desk/contests/demo/finalise/", {"reason": "x", "name": "demo"}, headers=EN
    )
    assert answer.status_code == 409 and "CLOSING_PHASE" in answer.content.decode()


def test_a_team_is_found_by_part_of_its_name(contest, team, staff):
    factories.team(contest=contest, name="Other")
    text = page(staff, "/desk/contests/demo/?q=hang")
    assert "Hangang" in text and "Other" not in text.partition("team-list")[2].partition("</ul>")[0]
    assert "No such team" in page(staff, "/desk/contests/demo/?q=%00nobody")
    assert timezone.now() - team.created < timedelta(hours=1)
