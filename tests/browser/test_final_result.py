"""The first screen of a contest answers who leads, before the result and after it."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from leaderboard.models import Contest
from tests.browser import scene
from tests.browser.conftest import grave_findings, overflow, shoot
from tests.browser.test_pages import LOOKS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def town(live_server):
    return scene.build()


@pytest.mark.parametrize("look", ["en", "phone-ko", "dark"])
def test_the_first_screen_of_a_frozen_board_says_so_and_who_leads(visit, town, look):
    Contest.objects.update(frozen_at=timezone.now())
    page = visit("/contests/demo/", **LOOKS[look])
    height = page.viewport_size["height"]
    parts = [".board-notices", ".leader"] + ["table.board > thead"] * ("phone" not in look)
    for part in parts:
        box = page.locator(part).bounding_box()
        assert box is not None and box["y"] + box["height"] < height, part
    assert overflow(page) == 0
    assert grave_findings(page) == []
    shoot(page, f"board-frozen-{look}")


@pytest.mark.parametrize("look", ["en", "phone-ko", "dark"])
def test_the_final_result_is_the_contests_page_and_the_public_board_a_tab(visit, town, look):
    Contest.objects.update(revealed_at=timezone.now(), finalised_at=timezone.now())
    page = visit("/", **LOOKS[look])
    shoot(page, f"home-final-{look}")
    page.locator(".contest-card .next .button").click()
    winner = "우승" if "ko" in look else "Winner"
    expect(page.locator(".leader")).to_contain_text(winner)
    expect(page.locator("h1")).to_contain_text("최종 결과" if "ko" in look else "final result")
    assert overflow(page) == 0
    assert grave_findings(page) == []
    shoot(page, f"board-final-{look}")
    page.locator(".tabs a").nth(1).click()
    expect(page.locator(".board-part")).to_be_visible()
    page.locator(".tabs a").nth(0).click()
    page.locator("#q").fill("zzz")
    expect(page.locator("#ranking .empty")).to_be_visible()
    assert page.url.endswith("/contests/demo/?q=zzz&only=")
