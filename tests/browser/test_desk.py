"""The desk as staff see it: both languages, wide and narrow, dark; it updates automatically."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from playwright.sync_api import expect

from grader.problems.catalogue import Problem
from leaderboard import lifecycle, workers
from leaderboard.models import AARun, Worker
from tests import factories
from tests.browser import scene
from tests.browser.conftest import grave_findings, overflow, shoot
from tests.leaderboard.workers.test_aa import put_through
from tests.leaderboard.workers.test_registry import enlist

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PHONE = {"viewport": {"width": 360, "height": 780}, "device_scale_factor": 2}
LOOKS = {
    "en": {},
    "ko-dark": {"locale": "ko-KR", "color_scheme": "dark"},
    "phone-ko": {"locale": "ko-KR", **PHONE},
}


@pytest.fixture
def room(live_server, monkeypatch):
    """A running event: one worker is grading, one failed its test, one is silent, one is not capable enough."""
    monkeypatch.setattr("grader.scoring.score.RESAMPLES", 100, raising=False)
    town = scene.build()
    contest = town.contest
    facts = {"device_name": "NVIDIA L4", "device": "cuda", "memory_bytes": 24_000_000_000}
    facts |= {"compute_capability": 8.9, "versions": {"vllm": "0.32.0", "torch": "2.13.0"}}
    busy = enlist(contest, "gpu-1", **facts)
    tested = enlist(contest, "gpu-2", **facts)
    for n, ratio in enumerate((1.0, 1.004, 0.998, 1.002, 1.3)):
        row = put_through(tested, contest, ratio=ratio)
        AARun.objects.filter(pk=row.pk).update(
            created=Now() - timedelta(days=5 - n), finished=Now() - timedelta(days=5 - n)
        )
    put_through(busy, contest)
    silent = enlist(contest, "gpu-3", **facts)
    Worker.objects.filter(pk=silent.pk).update(last_seen=Now() - timedelta(minutes=7))
    enlist(contest, "laptop", sandbox="none", device_name="Intel Core i7")
    broken = factories.running(evaluation=factories.submission(contest=contest), on=busy)
    lifecycle.fail(broken.pk, broken.attempt, [Problem("SYS_NOISY", "latency", "±0.03")])
    return town


@pytest.mark.parametrize("look", LOOKS)
def test_desk(visit, room, look):
    page = visit("/desk/", as_user=factories.user(name="organiser", is_staff=True), **LOOKS[look])
    expect(page.locator("li.worker")).to_have_count(4)
    expect(page.locator(".verdict [role=status]")).to_be_visible()
    expect(page.locator("main")).to_contain_text(
        "상태별 가장 오래된 항목" if "ko" in look else "Oldest in each state"
    )
    assert overflow(page) == 0
    assert grave_findings(page) == []
    shoot(page, f"desk-{look}")
    page.get_by_role("link", name="gpu-2").click()
    expect(page.locator("#aa-chart canvas")).to_be_visible()
    assert overflow(page) == 0
    assert grave_findings(page) == []
    shoot(page, f"desk-worker-{look}")


def test_desk_moves_by_itself_and_a_worker_is_drained_by_hand(visit, room):
    page = visit("/desk/", as_user=factories.user(name="organiser", is_staff=True))
    card = page.locator("li.worker", has=page.get_by_role("link", name="gpu-1"))
    expect(card).to_contain_text("grading #")
    workers.drain(Worker.objects.get(name="gpu-1"), "elsewhere", by="mina")
    expect(card).to_contain_text("draining")
    card.get_by_role("link", name="gpu-1").click()
    page.get_by_label("Why").first.fill("it is fine")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Drain")).to_be_visible()


def test_doctor(visit, room):
    page = visit("/desk/doctor/", as_user=factories.user(name="organiser", is_staff=True))
    expect(page.locator(".findings tbody tr").first).to_be_visible()
    assert grave_findings(page) == []
    shoot(page, "desk-doctor")


def test_a_first_place_is_marked_until_staff_find_it_fine(visit, room):
    board = visit("/contests/demo/", locale="ko-KR")
    mark = board.locator(".tag.held")
    expect(mark).to_have_count(2)  # the strip that says who leads, and the row
    expect(mark.first).to_have_text("검토 중")
    assert overflow(board) == 0
    shoot(board, "board-held-ko")
    page = visit("/desk/", as_user=factories.user(name="organiser", is_staff=True))
    shoot(page, "desk-held")
    assert grave_findings(page) == []
    page.get_by_role("button", name="Looked at: fine").click()
    expect(page.get_by_role("button", name="Looked at: fine")).to_have_count(0)
    board.reload()
    expect(mark).to_have_count(0)
