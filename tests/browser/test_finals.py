"""A team marks its entries for the final; staff rule on a team and finalize the contest."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from leaderboard.models import FinalChoice
from leaderboard.organisers import closing
from tests import factories
from tests.browser.conftest import grave_findings, overflow, shoot
from tests.leaderboard.contests.test_phases import HOUR, with_phase
from tests.leaderboard.organisers.test_closing import over
from tests.leaderboard.teams.test_finals import made, until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PHONE = {"viewport": {"width": 360, "height": 780}, "device_scale_factor": 2}


def test_a_team_marks_its_entries_for_the_final(visit, live_server):
    contest = with_phase(start=-2 * HOUR, end=-HOUR / 2, extra=until(HOUR))
    team = made(contest=contest, name="Hangang")
    entries = [
        factories.scored(contest=contest, team=team, speedup=s, seed=3, note=f"GPTQ, group {g}")
        for s, g in ((2.0, 128), (1.6, 64), (1.2, 32))
    ]
    mina = team.memberships.get().user
    page = visit(f"/teams/{team.pk}/", as_user=mina)
    boxes = page.locator("#final input[type=checkbox]")
    expect(boxes.nth(0)).to_be_checked()
    expect(boxes.nth(2)).not_to_be_checked()
    boxes.nth(0).uncheck()
    boxes.nth(2).check()
    page.get_by_role("button", name="Use these as final entries").click()
    expect(page.locator("#final")).to_contain_text("The team has chosen its final entries")
    expect(boxes.nth(2)).to_be_checked()
    assert FinalChoice.objects.filter(submission=entries[2].submission_id).exists()
    assert grave_findings(page) == []
    shoot(page, "team-final")
    for name, look in (
        ("dark", {"color_scheme": "dark"}),
        ("phone-ko", {"locale": "ko-KR", **PHONE}),
    ):
        other = visit(f"/teams/{team.pk}/", as_user=mina, **look)
        assert overflow(other) == 0
        assert grave_findings(other) == []
        shoot(other, f"team-final-{name}")
    page.get_by_role("button", name="Use the best scores again").click()
    expect(boxes.nth(0)).to_be_checked()
    assert not FinalChoice.objects.exists()


def test_staff_disqualify_a_team_and_finalise_a_contest(visit, live_server):
    contest = over()
    team = contest.teams.get(name="Naktong")
    captain, staff = team.memberships.get().user, factories.user(name="hana", is_staff=True)
    page = visit("/desk/contests/demo/", as_user=staff)
    page.get_by_role("link", name="Naktong").click()
    page.get_by_text("Disqualify or hide").click()
    page.get_by_label("Reason, for the team").fill("Weights of another team")
    page.get_by_label("Evidence, for staff").fill("content sha256 of #2 and #3")
    page.get_by_role("button", name="Disqualify", exact=True).click()
    expect(page.locator(".ruling.in-force")).to_contain_text("Weights of another team")
    look(visit, "desk-team", f"/desk/teams/{team.pk}/", staff)
    look(visit, "desk-submission", f"/desk/submissions/{team.submissions.get().pk}/", staff)
    look(visit, "team-ruled", f"/teams/{team.pk}/", captain)
    page.goto("/contests/demo/")
    expect(page.locator(".entry", has_text="Naktong")).to_have_count(0)
    page.goto("/desk/contests/demo/")
    shoot(page, "desk-contest-open")
    page.get_by_label("Reason", exact=True).fill("Every complaint is answered")
    page.get_by_label("to confirm").fill("demo")
    page.get_by_role("button", name="Finalize").click()
    expect(page.locator("#end")).to_contain_text("Final since")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the evidence").click()
    contest.refresh_from_db()
    assert closing.seal(contest)
    assert closing.verify(download.value.path()).is_genuine
    look(visit, "desk-contest", "/desk/contests/demo/", staff)


def look(visit, name, path, person):
    """The page in every form, without a serious violation in any."""
    for form, options in {
        "": {},
        "-dark": {"color_scheme": "dark"},
        "-phone-ko": {"locale": "ko-KR", **PHONE},
    }.items():
        page = visit(path, as_user=person, **options)
        assert overflow(page) == 0, (name, form)
        assert grave_findings(page) == [], (name, form)
        shoot(page, name + form)
