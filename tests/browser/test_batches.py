"""An organizer changes a weight, reviews who would move, applies it and undoes it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from leaderboard.contests import loading
from tests import factories
from tests.browser.conftest import grave_findings, overflow, shoot
from tests.leaderboard.batches import town

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PHONE = {"viewport": {"width": 360, "height": 780}, "device_scale_factor": 2}


def first_team(page):
    page.goto("/contests/demo/")
    return page.locator(".entry:not(.organiser) .team").first


def test_a_weight_is_changed_looked_at_applied_and_taken_back(visit, live_server, tmp_path):
    contest = town.build(tmp_path)
    loading.load(str(town.file_of(tmp_path, town.CHANGED_WEIGHTS)))
    staff = factories.user(name="hana", is_staff=True)
    page = visit("/contests/demo/batches/", as_user=staff)
    expect(page.locator("main")).to_contain_text("New rules are waiting to take effect")
    shoot(page, "batches-list")
    page.get_by_role("link", name="New batch").click()
    page.get_by_label("Reason").fill("Speed was weighted too low")
    assert grave_findings(page) == []
    shoot(page, "batches-new")
    page.get_by_role("button", name="Prepare").click()
    expect(page.locator(".decide")).to_contain_text("9 entries, about")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".decide")).to_contain_text("Applying changes")
    expect(page.locator(".moves tbody tr").first).to_contain_text("fast")
    review = page.url
    assert grave_findings(page) == []
    assert overflow(page) == 0
    shoot(page, "batches-review")
    expect(first_team(page)).to_contain_text("accurate")
    page.goto(review)
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("h1")).to_contain_text("applied")
    expect(first_team(page)).to_contain_text("fast")
    for name, look in (
        ("dark", {"color_scheme": "dark"}),
        ("phone-ko", {"locale": "ko-KR", **PHONE}),
    ):
        other = visit(review, as_user=staff, **look)
        assert overflow(other) == 0
        assert grave_findings(other) == []
        shoot(other, f"batches-review-{name}")
    page.goto(review)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("h1")).to_contain_text("undone")
    expect(first_team(page)).to_contain_text("accurate")
    assert contest.batches.get().status == "undone"
