"""Both models' answers side by side, and the checks that only organizers see."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from grader.protocol.documents import Check, Sample
from tests import factories
from tests.browser.conftest import grave_findings, overflow, shoot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LENGTH = {"en": "130 characters on average, base model 128", "ko": "평균 130자, 원본 모델 128자"}
WORDS = "14 + 23 = 37\n#### 37"
PHONE = {"viewport": {"width": 360, "height": 780}, "locale": "ko-KR"}


@pytest.fixture
def graded(live_server):
    contest = factories.contest()
    measured = replace(
        factories.report(contest=contest),
        samples=(
            Sample(contest.rules.sample_prompts[0], WORDS, "<b>" + "12345" * 60),
            Sample("대한민국의 수도는 어디인가요?", "서울입니다.", "서울입니다."),
        ),
        checks=(
            Check("FLAG_LENGTH", "gsm8k", 0.02, 0.1, False, words=LENGTH),
            Check("FLAG_WEIGHTS", "", None, 0.8, False),
            Check("FLAG_REPEATS", "", 0.9, 0.1, True, "×1.90 (95 %: ≥ ×1.85)"),
        ),
    )
    return factories.scored(contest=contest, measured=measured).submission


@pytest.mark.parametrize("look", ["desktop", "phone-ko"])
def test_words_and_flags(visit, graded, look):
    context = PHONE if look == "phone-ko" else {"locale": "en"}
    page = visit(graded.get_absolute_url(), as_user=factories.user(is_staff=True), **context)
    expect(page.locator(".sample")).to_have_count(2)
    expect(page.locator(".words").first).to_contain_text("<b>12345")
    expect(page.locator(".checks tbody tr").first).to_contain_text("FLAG_REPEATS")
    length = page.locator(".checks tr", has_text="FLAG_LENGTH")
    expect(length).to_contain_text(LENGTH["ko" if look == "phone-ko" else "en"])
    assert overflow(page) == 0
    assert grave_findings(page) == []
    shoot(page, f"compliance-{look}")
