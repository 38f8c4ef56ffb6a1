"""The pages as people see them: both languages, wide and narrow, light and dark, with and without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from grader.problems.catalogue import Problem, Stage
from leaderboard import lifecycle
from tests import factories
from tests.browser import scene
from tests.browser.conftest import grave_findings, overflow, shoot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
LOOKS = {
    "en": {},
    "ko": {"locale": "ko-KR"},
    "dark": {"color_scheme": "dark"},
    "phone-ko": {"locale": "ko-KR", **PHONE},
    "phone-dark": {"color_scheme": "dark", **PHONE},
}
WORDS = {"ko": ("순위", "우리 팀", "원본 모델"), "en": ("Ranking", "my team", "base model")}


@pytest.fixture
def town(live_server):
    return scene.build()


@pytest.mark.parametrize("look", LOOKS)
def test_board(visit, town, look):
    page = visit("/contests/demo/", as_user=town.captain, **LOOKS[look])
    for word in WORDS["ko" if "ko" in look else "en"]:
        expect(page.locator("main")).to_contain_text(word)
    expect(page.locator("html")).to_have_attribute("lang", "ko" if "ko" in look else "en")
    expect(page.locator("#pareto canvas")).to_be_visible()
    assert overflow(page) == 0
    shoot(page, f"board-{look}")
    row = page.locator(".entry.mine")
    expect(row).to_have_count(1)
    row.locator("summary").click()
    expect(row.locator(".formula")).to_contain_text("max(0, 0.6 × ")
    assert overflow(page) == 0
    assert grave_findings(page) == []
    shoot(page, f"board-{look}-open")


def test_organisers_rows_carry_no_number(visit, town):
    page = visit("/contests/demo/")
    ranks = page.locator(".entry:not(.organiser) td.rank").all_inner_texts()
    # the rank itself; the line below shows the ranks that the intervals leave open
    assert [int(re.search(r"\d+", text)[0]) for text in ranks] == list(range(1, 8))
    for text in page.locator(".organiser td.rank").all_inner_texts():
        assert not re.search(r"\d", text)


def test_board_without_javascript(visit, town):
    page = visit("/contests/demo/", java_script_enabled=False)
    expect(page.locator(".entry")).to_have_count(9)
    expect(page.get_by_role("img", name="Scatter")).to_have_count(0)
    first = page.locator(".entry").first
    expect(first.locator(".formula")).to_be_hidden()
    first.locator("summary").click()
    expect(first.locator(".formula")).to_be_visible()
    shoot(page, "board-nojs")


def test_axes_can_be_switched_and_a_point_opens_its_row(visit, town):
    page = visit("/contests/demo/")
    page.get_by_label("Speed-up × accuracy").check()
    expect(page.locator("#ramp-name")).to_have_text("Checkpoint size")
    page.get_by_label("Size × accuracy").check()
    box = page.locator("#pareto canvas").bounding_box()
    at = page.evaluate(
        "() => { const c = Chart.getChart(document.querySelector('#pareto canvas'));"
        " const i = c.data.datasets[1].data.findIndex((p) => p.point.name === 'tensor-tailors');"
        " const e = c.getDatasetMeta(1).data[i]; return [e.x, e.y]; }"
    )
    page.mouse.click(box["x"] + at[0], box["y"] + at[1])
    expect(page.locator(".entry details[open]")).to_have_count(1)
    expect(page.locator(".entry:has(details[open]) .team")).to_contain_text("tensor-tailors")


@pytest.mark.parametrize("look", LOOKS)
def test_scored_submission(visit, town, look):
    page = visit(town.scored.submission.get_absolute_url(), as_user=town.captain, **LOOKS[look])
    expect(page.locator(".status")).to_contain_text(f"{town.scored.score.value:.4f}")
    expect(page.locator(".step.done")).to_have_count(8)
    expect(page.locator("#live")).not_to_have_attribute("hx-trigger", re.compile("."))
    expect(page.locator(".rounds")).to_have_count(2)
    assert overflow(page) == 0
    assert grave_findings(page) == []
    shoot(page, f"submission-scored-{look}")


@pytest.mark.parametrize("look", ["en", "phone-ko"])
def test_rejected_submission(visit, town, look):
    page = visit(town.rejected.submission.get_absolute_url(), as_user=town.captain, **LOOKS[look])
    expect(page.locator(".problem")).to_have_count(2)
    expect(page.locator(".step.stopped")).to_have_count(1)
    expect(page.locator(".problem").first).to_contain_text("expected 256, found 128")
    assert overflow(page) == 0
    assert grave_findings(page) == []
    shoot(page, f"submission-rejected-{look}")
    page.get_by_role("link", name="CONFIG_FIXED_KEY").click()
    expect(page.locator("#CONFIG_FIXED_KEY")).to_be_in_viewport()


def test_waiting_submission_moves_by_itself(visit, town):
    url = town.waiting.submission.get_absolute_url()
    page = visit(url, as_user=town.captain)
    expect(page.locator(".status")).to_contain_text("Waiting: position 1 in the queue")
    assert grave_findings(page) == []
    shoot(page, "submission-waiting")
    factories.running(evaluation=town.waiting)
    expect(page.locator(".status")).to_contain_text("Being graded")
    problem = Problem("LOAD_ENGINE", detail="ValueError: no kernel")
    lifecycle.reject(town.waiting.pk, town.waiting.attempt, [problem])
    expect(page.locator(".status")).to_contain_text("Rejected")
    expect(page.locator("#live")).not_to_have_attribute("hx-trigger", re.compile("."))


def test_a_broken_site_does_not_replace_the_page(visit, town):
    page = visit(town.waiting.submission.get_absolute_url(), as_user=town.captain)
    page.route("**/submissions/*/", lambda route: route.fulfill(status=418, body="teapot"))
    with page.expect_response(lambda response: response.status == 418):
        pass
    page.wait_for_timeout(300)
    expect(page.locator(".status")).to_contain_text("Waiting")
    page.unroute("**/submissions/*/")
    factories.running(evaluation=town.waiting)
    expect(page.locator(".status")).to_contain_text("Being graded")


def test_running_submission_shows_how_far(visit, town):
    page = visit(town.running.submission.get_absolute_url(), as_user=town.captain)
    expect(page.locator(".step.current")).to_contain_text("86/160")
    assert grave_findings(page) == []
    shoot(page, "submission-running")


@pytest.mark.parametrize("name", ["login", "signup", "nothing-here", "teams/{team}"])
def test_pages_for_strangers(visit, town, name):
    page = visit("/" + name.format(team=town.team.pk) + "/")
    expect(page.locator("h1")).to_be_visible()
    assert grave_findings(page) == []
    shoot(page, name.partition("/")[0] + "-anonymous")


def test_nobody_else_sees_a_submission(visit, town):
    page = visit(town.scored.submission.get_absolute_url(), as_user=factories.user(name="nosy"))
    expect(page.locator("h1")).to_have_text("Not found")


def test_an_empty_board_invites(visit, live_server):
    factories.contest()
    page = visit("/contests/demo/")
    expect(page.get_by_role("link", name="Submit the first one")).to_be_visible()
    assert grave_findings(page) == []
    shoot(page, "board-empty")


def test_language_switch_stays_on_the_page(visit, town):
    page = visit("/contests/demo/rules/")
    page.get_by_role("button", name="한국어").click()
    expect(page.locator("h1")).to_have_text("규정")
    assert page.url.endswith("/contests/demo/rules/")


def test_times_are_the_readers(visit, town):
    page = visit("/contests/demo/", timezone_id="Europe/Berlin")
    expect(page.locator("time[data-countdown]")).to_contain_text("Dec 31, 2035")
    expect(page.locator("time[data-countdown]")).to_have_attribute("title", re.compile("KST"))


def test_stage_that_is_over_for_a_rejected_load(visit, live_server):
    contest = factories.contest()
    rejected = factories.rejected(contest=contest, stage=Stage.LOAD, problems=[Problem("LOAD_OOM")])
    page = visit(rejected.submission.get_absolute_url(), as_user=rejected.submission.user)
    expect(page.locator(".step.stopped")).to_contain_text("Load")
    expect(page.locator(".step.done")).to_have_count(4)
