"""Staff actions in the admin: rulings, freezing, and all of it in the audit log."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client

from leaderboard.board import ranking
from leaderboard.contests import phases
from leaderboard.models import AuditEntry, Contest, Ruling
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def staff(client):
    client.force_login(factories.user(name="hana", is_staff=True))
    return client


def act(client, model, action, *rows):
    return client.post(
        f"/admin/leaderboard/{model}/",
        {"action": action, "_selected_action": [row.pk for row in rows]},
        follow=True,
    )


def entrants(contest):
    return [e.entrant for e in ranking.board_for(AnonymousUser(), contest).entries]


def test_a_team_is_disqualified_with_a_reason_and_reinstated(contest, staff):
    evaluation = factories.scored(contest=contest)
    team = evaluation.submission.team
    form = {"contest": "demo", "kind": "disqualified", "team": team.pk, "submission": "",
            "reason": "two teams, one person", "evidence": "same key"}  # fmt: skip
    assert staff.post("/admin/leaderboard/ruling/add/", form).status_code == 302
    assert entrants(contest) == []
    ruling = Ruling.objects.get()
    assert (ruling.by, ruling.lifted) == ("hana", None)
    assert act(staff, "ruling", "lift", ruling).status_code == 200
    assert entrants(contest) == [team.name]
    evaluation.refresh_from_db()
    assert evaluation.status == "scored"
    acts = AuditEntry.objects.filter(target="ruling", action__startswith="ruling.").order_by("id")
    assert [(a.action, a.reason) for a in acts] == [
        ("ruling.disqualified", "two teams, one person"),
        ("ruling.lift", "two teams, one person"),
    ]


def test_a_ruling_names_a_team_or_an_entry(contest, staff):
    form = {"contest": "demo", "kind": "hidden", "team": "", "submission": "", "reason": "x"}
    assert staff.post("/admin/leaderboard/ruling/add/", form).status_code == 200
    assert not Ruling.objects.exists()


def test_freeze_thaw_and_reveal_are_noted(contest, staff):
    act(staff, "contest", "freeze", contest)
    contest.refresh_from_db()
    assert phases.frozen_since(contest) == contest.frozen_at
    again = act(staff, "contest", "freeze", contest)  # the action is always offered
    assert [m.level_tag for m in again.context["messages"]] == ["warning"]
    act(staff, "contest", "thaw", contest)
    contest.refresh_from_db()
    assert phases.frozen_since(contest) is None
    act(staff, "contest", "reveal", contest)
    assert phases.is_revealed(Contest.objects.get())
    acts = AuditEntry.objects.filter(target="contest", by_name="hana").order_by("id")
    assert [a.action for a in acts] == ["contest.freeze", "contest.thaw", "contest.reveal"]


def test_staff_without_the_permission_cannot_freeze(contest, client):
    user = factories.user()
    user.is_staff = True
    user.save(update_fields=["is_staff"])
    client.force_login(user)
    assert act(client, "contest", "freeze", contest).status_code == 403
    contest.refresh_from_db()
    assert contest.frozen_at is None


def rename(staff, team, name, **words):
    member = team.memberships.get()
    row = {"id": member.pk, "team": team.pk, "contest": team.contest_id, "user": member.user_id}
    counts = {"TOTAL": 1, "INITIAL": 1, "MIN_NUM": 0, "MAX_NUM": 1000}
    form = {
        "name": name,
        **{f"memberships-{n}_FORMS": count for n, count in counts.items()},
        **{f"memberships-0-{field}": value for field, value in row.items()},
        "memberships-0-is_captain": "on",
        **words,
    }
    return staff.post(f"/admin/leaderboard/team/{team.pk}/change/", form)


def test_a_team_renamed_in_the_admin_has_its_new_name_on_the_board(contest, staff):
    team = factories.scored(contest=contest).submission.team
    old = team.name
    assert old in Client().get("/contests/demo/").content.decode()
    assert rename(staff, team, "Nice").status_code == 302
    page = Client().get("/contests/demo/").content.decode()
    assert "Nice" in page and old not in page
    entry = AuditEntry.objects.get(action="team.rename")
    assert (entry.by_name, entry.before, entry.after) == ("hana", {"name": old}, {"name": "Nice"})
    event = team.events.get(kind="renamed")
    assert (event.by, event.detail) == ("hana", f"{old} → Nice")


def test_a_team_is_not_renamed_to_anothers_name(contest, staff):
    team, other = factories.team(contest=contest), factories.team(contest=contest)
    page = rename(staff, team, other.name.upper())
    assert page.status_code == 200
    assert "이미" in page.content.decode()
    team.refresh_from_db()
    assert team.name != other.name


def test_a_team_stays_in_its_contest(contest, staff):
    team = factories.team(contest=contest)
    Contest.objects.create(pk="other", version=contest.version)
    assert rename(staff, team, team.name, contest="other").status_code == 302
    team.refresh_from_db()
    assert team.contest_id == "demo"
    assert not AuditEntry.objects.filter(action="team.rename").exists()


def test_changes_in_the_admin_are_in_the_audit_log_and_exported(contest, staff):
    factories.scored(contest=contest)
    form = {"is_listed": "on"}
    assert staff.post("/admin/leaderboard/contest/demo/change/", form).status_code == 302
    entry = AuditEntry.objects.get(action="admin.change")
    assert (entry.by_name, entry.target, entry.target_id) == ("hana", "contest", "demo")
    (row,) = json.loads(act(staff, "auditentry", "as_json", entry).content)
    assert row["action"] == "admin.change"
    lines = act(staff, "auditentry", "as_csv", entry).content.decode().splitlines()
    assert lines[0].startswith("created,by_name,action")
    assert staff.get("/admin/leaderboard/auditentry/?q=hana").status_code == 200
    assert staff.get(f"/admin/leaderboard/auditentry/{entry.pk}/delete/").status_code == 403


def test_evidence_is_looked_at_in_the_admin_and_never_edited(contest, staff):
    evaluation = factories.scored(contest=contest)
    path = f"/admin/leaderboard/result/{evaluation.pk}/change/"
    assert staff.get(path).status_code == 200
    assert staff.post(path, {"attempt": 2}).status_code == 403
    for name in ("batch", "batchitem", "result", "finalchoice", "quotagrant", "teamevent",
                 "merger", "delivery", "upload"):  # fmt: skip
        assert staff.get(f"/admin/leaderboard/{name}/").status_code == 200, name
        assert staff.get(f"/admin/leaderboard/{name}/add/").status_code == 403, name
    assert staff.get(f"/admin/leaderboard/result/?q={evaluation.submission_id}").status_code == 200
