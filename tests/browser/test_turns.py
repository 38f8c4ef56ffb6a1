"""A contest whose engines take turns, on its rules page and on a submission's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from grader.protocol.documents import SpeedBlock
from leaderboard.models import ContestVersion
from tests import factories
from tests.browser.conftest import grave_findings, overflow, shoot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOOKS = {
    "desktop": {"locale": "en"},
    "phone-ko": {"viewport": {"width": 360, "height": 780}, "locale": "ko-KR"},
}
TURNS = {"desktop": "in turns", "phone-ko": "번갈아 측정"}


@pytest.fixture
def graded(live_server):
    contest = factories.contest()
    lines = '[speed]\npairing = "turns"\nblock_rounds = 7'
    source = contest.version.source.replace("[speed]", lines)
    source = source.replace("[engine]", "[engine]\ntensor_parallel = 2")
    ContestVersion.objects.filter(pk=contest.version_id).update(source=source)
    plain = factories.report(contest=contest)
    blocks = tuple(
        SpeedBlock(role, 60.0, 3, (seconds,))
        for one in plain.speed[0].rounds
        for role, seconds in (("base", one.base_s), ("candidate", one.candidate_s))
    )
    speed = tuple(replace(one, pairing="turns", blocks=blocks) for one in plain.speed)
    waiting = factories.submission(contest=contest)
    factories.checked(evaluation=waiting)
    return factories.scored(contest=contest, measured=replace(plain, speed=speed)).submission


@pytest.mark.parametrize("look", LOOKS)
def test_rules_and_submission_say_that_engines_take_turns(visit, graded, look):
    page = visit(f"/contests/{graded.contest_id}/rules/", **LOOKS[look])
    expect(page.locator("#speed h2")).to_contain_text(TURNS[look])
    expect(page.locator("#speed li").first).to_contain_text("7")
    expect(page.locator("#machine")).to_contain_text("2 ×")
    assert overflow(page) == 0
    assert grave_findings(page) == []
    shoot(page, f"turns-rules-{look}")
    staff = factories.user(is_staff=True)
    page = visit(graded.get_absolute_url(), as_user=staff, **LOOKS[look])
    section = page.locator("section[aria-labelledby=speed-title]")
    expect(section).to_contain_text(TURNS[look])
    assert overflow(page) == 0
    assert grave_findings(page) == []
    shoot(page, f"turns-submission-{look}")


def test_the_queue_says_that_nobody_can_grade(visit, graded):
    page = visit(f"/contests/{graded.contest_id}/", locale="en")
    expect(page.locator("#queue")).to_contain_text("no worker can grade this contest right now")
    shoot(page, "turns-queue")
