"""Compliance checks are visible to organizers only, and a model's answers are shown as text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.utils.translation import override

from grader.protocol.documents import Check, GpuState, Likelihood, LikelihoodResult, Sample
from leaderboard.submissions import queries
from tests import factories

pytestmark = pytest.mark.django_db

CHECKS = (
    Check("FLAG_LENGTH", "gsm8k", 0.02, 0.1, False, words={"en": "130 characters", "ko": "130자"}),
    Check("FLAG_WEIGHTS", "", None, 0.8, False),
    Check("FLAG_REPEATS", "", 0.9, 0.1, True, "×1.90"),
)


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def evaluation(contest):
    measured = replace(
        factories.report(contest=contest),
        checks=CHECKS,
        samples=(Sample("Say <b>hello</b>", "hello", "<script>alert(1)</script>"),),
    )
    return factories.scored(contest=contest, measured=measured)


def test_flagged_checks_come_first_with_their_words(evaluation):
    with override("en"):
        found = queries.compliance_of(evaluation)
    assert [c["code"] for c in found[:1]] == ["FLAG_REPEATS"]
    assert {c["code"] for c in found} == {
        "FLAG_REPEATS", "FLAG_LENGTH", "FLAG_WEIGHTS", "FLAG_GAP", "FLAG_FRESH",
    }  # fmt: skip
    assert "answered faster" in found[0]["sentence"]
    assert found[0]["figures"] == "×1.90"
    figures = {"en": "130 characters", "ko": "130자"}
    for language, expected in figures.items():
        with override(language):
            found = {c["code"]: c["figures"] for c in queries.compliance_of(evaluation)}
        assert found["FLAG_LENGTH"] == expected


def test_a_second_grade_of_the_checkpoint_is_compared_with_the_first(contest, evaluation):
    """C06: regraded, or entered again, by anyone."""
    assert not [c for c in queries.compliance_of(evaluation) if c["code"] == "FLAG_REPEAT"]
    first = factories.report(contest=contest, speedup=2.0, noise=0.001, seed=5)
    other = factories.report(contest=contest, checkpoint=first.checkpoint, speedup=1.2, noise=0.001)
    factories.scored(contest=contest, measured=first)
    again = factories.scored(contest=contest, measured=replace(other, quality=first.quality))
    found = [c for c in queries.compliance_of(again) if c["code"] == "FLAG_REPEAT"]
    assert {c["where"]: c["flagged"] for c in found} == {
        "gsm8k": False, "choice": False, "fresh": False, "latency": True, "throughput": True,
    }  # fmt: skip


def test_learned_questions_are_a_flag_for_staff_and_hold_the_entry(contest, client):
    """The report has only what was measured: likelihoods of a benchmark's answers and of its fresh twin's."""
    answers = tuple(
        LikelihoodResult(name, tuple(Likelihood(i, 30, own + i % 5 / 100, 0.1) for i in range(60)))
        for name, own in (("gsm8k", 0.02), ("fresh", 3.0))
    )
    measured = replace(factories.report(contest=contest), likelihoods=answers)
    evaluation = factories.scored(contest=contest, measured=measured)
    evaluation.refresh_from_db()
    assert "FLAG_LEARNED" in evaluation.flags
    assert evaluation.review_until is not None
    with override("en"):
        found = queries.compliance_of(evaluation)[0]
    assert (found["code"], found["where"], found["flagged"]) == ("FLAG_LEARNED", "gsm8k", True)
    assert found["measured"] < -4
    assert "−0.060 nats per token on 60 questions, +2.920 on 60 fresh ones" in found["figures"]
    assert "likelihoods" not in queries.report_summary(evaluation)
    url = evaluation.submission.get_absolute_url()
    client.force_login(evaluation.submission.team.memberships.first().user)
    assert "FLAG_LEARNED" not in client.get(url).content.decode()
    client.force_login(factories.user(is_staff=True))
    assert "FLAG_LEARNED" in client.get(url).content.decode()


@pytest.mark.parametrize("reader", ["anonymous", "owner", "teammate", "stranger", "staff"])
def test_flags_are_for_organisers_only(evaluation, client, reader):
    team = evaluation.submission.team
    mate = factories.user()
    team.memberships.create(contest=team.contest, user=mate)
    users = {
        "owner": team.memberships.first().user,
        "teammate": mate,
        "stranger": factories.user(),
        "staff": factories.user(is_staff=True),
    }
    if reader in users:
        client.force_login(users[reader])
    response = client.get(evaluation.submission.get_absolute_url())
    assert response.status_code == (404 if reader in ("anonymous", "stranger") else 200)
    assert ("FLAG_" in response.content.decode()) is (reader == "staff")


def test_the_summary_that_pages_get_holds_no_checks(evaluation):
    assert "checks" not in queries.report_summary(evaluation)


def test_samples_stand_side_by_side_as_text(evaluation, client):
    client.force_login(evaluation.submission.team.memberships.first().user)
    page = client.get(evaluation.submission.get_absolute_url()).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    assert "Say &lt;b&gt;hello" in page


def test_the_gpus_state_is_on_the_record(contest, client):
    measured = factories.report(contest=contest)
    state = GpuState(24 * 1024**3, 72.0, 2040, (1500, 1710), 64, 71.5, ("software power cap",))
    measured = replace(measured, system=replace(measured.system, gpu=state, governor="performance"))
    evaluation = factories.scored(contest=contest, measured=measured)
    client.force_login(factories.user(is_staff=True))
    page = client.get(evaluation.submission.get_absolute_url()).content.decode()
    for words in ("1500–1710 MHz", "software power cap", "performance"):
        assert words in page


def test_the_reference_stands_beside_each_term(contest, client):
    factories.scored(contest=contest, kind="reference", title="ref", speedup=1.25, noise=0.0)
    evaluation = factories.scored(contest=contest)
    client.force_login(factories.user(is_staff=True))
    page = client.get(evaluation.submission.get_absolute_url()).content.decode()
    terms = page.partition('<table class="terms">')[2].partition("</table>")[0]
    assert "0.200" in terms  # 1 − 1 ÷ 1.25


def test_the_admin_shows_the_checks(evaluation, admin_client):
    path = f"/admin/leaderboard/evaluation/{evaluation.pk}/change/"
    page = admin_client.get(path).content.decode()
    assert "⚑ FLAG_REPEATS" in page
    assert "✓ FLAG_LENGTH: gsm8k 130자" in page  # the site defaults to Korean
