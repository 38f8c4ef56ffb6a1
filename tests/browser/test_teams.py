"""From no account to a team of two: sign up, confirm the address, invite by link, join."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from playwright.sync_api import expect

from leaderboard.models import Team
from tests import factories
from tests.browser.conftest import grave_findings, overflow, shoot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PHONE = {"viewport": {"width": 390, "height": 844}, "locale": "ko-KR"}


def sign_up(page, name):
    page.get_by_label("User name").fill(name)
    page.get_by_label("Email").fill(f"{name}@example.org")
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("h1")).to_have_text("Check your email")
    (sent,) = (m for m in mail.outbox if m.to == [f"{name}@example.org"])
    page.goto(re.search(r"https?://[^/\s]+(/confirm-email/\S+)", sent.body)[1])
    assert grave_findings(page) == []
    page.get_by_role("button", name="Yes, it is mine").click()


def test_two_people_become_a_team(visit, live_server, settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    factories.contest()
    first = visit("/signup/")
    sign_up(first, "mina")
    first.goto("/contests/demo/team/")
    first.get_by_label("Team name").fill("새벽반")
    first.get_by_role("button", name="Create team").click()
    first.goto(Team.objects.get().get_absolute_url())
    first.get_by_role("button", name="New link").click()
    link = first.get_by_label("Invitation link").input_value()
    second = visit(re.search(r"/join/.*", link)[0])
    expect(second.locator("h1")).to_have_text("Join 새벽반")
    second.locator("main").get_by_role("link", name="Sign up").click()
    sign_up(second, "jiho")
    second.goto(re.search(r"/join/.*", link)[0])
    assert grave_findings(second) == []
    shoot(second, "join-en")
    second.get_by_role("button", name="Join the team").click()
    expect(second.locator(".members")).to_contain_text("jiho")
    first.reload()
    first.get_by_label("scored").first.check()
    first.get_by_role("button", name="Save", exact=True).click()
    first.get_by_role("button", name="Send a test message").click()
    first.get_by_text("Rename, merge, leave").click()
    assert (grave_findings(first), overflow(first)) == ([], 0)
    shoot(first, "team-captain-en")
    phone = visit(first.url, as_user=Team.objects.get().memberships.first().user, **PHONE)
    assert (grave_findings(phone), overflow(phone)) == ([], 0)
    shoot(phone, "team-captain-phone-ko")


@pytest.mark.parametrize("path", ["login", "signup", "password/reset", "join/1.forged"])
def test_pages_of_accounts(visit, live_server, path):
    page = visit(f"/{path}/", **PHONE)
    expect(page.locator("h1")).to_be_visible()
    assert (grave_findings(page), overflow(page)) == ([], 0)
    shoot(page, f"{path.replace('/', '-')}-phone-ko")
