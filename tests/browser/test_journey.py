"""From no account to a submission, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from leaderboard.models import Submission
from tests import factories
from tests.browser.conftest import grave_findings, shoot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ARCHIVE = {
    "name": "모델 v1.zip",
    "mimeType": "application/zip",
    "buffer": b"PK\x05\x06" + bytes(18),
}


def join(page):
    """Sign up, create a team; ends on the submit page."""
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("User name").fill("newcomer")
    page.get_by_label("Email").fill("newcomer@example.org")
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("link", name="Submit", exact=True).click()
    expect(page.locator(".messages")).to_contain_text("Create a team first")
    page.get_by_label("Team name").fill("새벽반")
    page.get_by_role("button", name="Create team").click()
    expect(page.locator("h1")).to_have_text("Submit")


@pytest.mark.parametrize("scripts", [True, False], ids=["with-javascript", "without"])
def test_sign_up_team_submit(visit, live_server, scripts):
    factories.contest()
    page = visit("/", java_script_enabled=scripts)
    join(page)
    expect(page.locator(".limits")).to_contain_text("105 MB")
    page.get_by_label("Archive").set_input_files(ARCHIVE)
    page.locator("#submit-form").get_by_label("Note").fill("first try")
    page.get_by_role("button", name="Upload and submit").click()
    expect(page.locator("h1")).to_contain_text("Submission #")
    row = Submission.objects.get()
    assert page.url.endswith(row.get_absolute_url())
    assert (row.entrant, row.archive_name, row.note) == ("새벽반", "모델 v1.zip", "first try")
    expect(page.locator(".status")).to_have_text("Being checked")
    if scripts:
        page.get_by_role("button", name="Withdraw").click()
        expect(page.locator(".status")).to_have_text("Cancelled")


@pytest.mark.parametrize("scripts", [True, False], ids=["with-javascript", "without"])
def test_a_refusal_says_why(visit, live_server, scripts):
    contest = factories.contest()
    captain = factories.user()
    factories.team(contest=contest, captain=captain)
    page = visit("/contests/demo/submit/", as_user=captain, java_script_enabled=scripts)
    page.get_by_label("Archive").set_input_files(ARCHIVE | {"buffer": b""})
    if scripts:  # rejected before the first byte
        expect(page.locator("#file-facts")).to_contain_text("This file is empty.")
        expect(page.get_by_role("button", name="Upload and submit")).to_be_disabled()
        page.evaluate("document.querySelector('#submit-form button:disabled').disabled = false")
    page.get_by_role("button", name="Upload and submit").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The uploaded file is empty.")
    expect(alert).to_contain_text("UPLOAD_EMPTY")
    assert Submission.objects.count() == 0
    if scripts:
        assert grave_findings(page) == []
        shoot(page, "submit-refused")
        page.get_by_label("Archive").set_input_files(
            ARCHIVE
        )  # the form still works after the refusal
        page.get_by_role("button", name="Upload and submit").click()
        expect(page.locator("h1")).to_contain_text("Submission #")


def test_token_is_shown_once(visit, live_server):
    factories.contest()
    page = visit("/account/", as_user=factories.user())
    page.get_by_label("Token name").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    token = page.locator(".token").inner_text()
    assert token.startswith("pbt_")
    assert grave_findings(page) == []
    page.goto("/account/")
    assert token not in page.content()
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.locator("main")).to_contain_text("revoked")


def test_log_in_and_out(visit, live_server):
    factories.contest()
    user = factories.user()
    page = visit("/login/")
    page.get_by_label("User name or email").fill(user.username)
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name=user.username)).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
