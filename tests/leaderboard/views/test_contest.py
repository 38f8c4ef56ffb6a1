"""Home shows what, when and the next step; rules compute their example; problem codes can be searched."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from grader.problems.catalogue import CATALOGUE
from grader.protocol.documents import SpeedBlock
from leaderboard.contests import example
from leaderboard.models import Contest, ContestVersion
from tests import factories

pytestmark = pytest.mark.django_db
ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def contest():
    return factories.contest()


def page(client, path="/", **headers):
    return client.get(path, headers=ENGLISH | headers).content.decode()


def test_the_next_step_is_the_readers(client, contest):
    assert "Take part" in page(client)
    captain = factories.user()
    client.force_login(captain)
    assert "Create a team" in page(client)
    team = factories.team(contest=contest, name="Hangang", captain=captain)
    limit = contest.rules.limits.submissions_per_day
    html = page(client)
    assert "Submit a checkpoint" in html and f"{limit} of {limit} submissions left today." in html
    factories.scored(contest=contest, team=team)
    html = page(client)
    assert "Hangang is ranked 1 of 1." in html and f"{limit - 1} of {limit}" in html


def test_a_closed_contest_leads_to_its_board_and_a_revealed_one_to_the_final_one(client, contest):
    Contest.objects.update(is_open=False)
    assert "It is not accepting submissions now." in page(client)
    Contest.objects.update(revealed_at=timezone.now())
    assert "See the final result" in page(client)


def test_home_says_what_and_when(client, contest):
    html = page(client)
    for words in (contest.rules.title.en, contest.rules.summary.en, contest.rules.base_model.id,
                  contest.rules.hardware.name, contest.rules.phases[0].title.en):  # fmt: skip
        assert words in html


def test_without_a_contest_home_says_how_to_load_one(client):
    assert "loadcontest" in page(client)


@pytest.mark.parametrize("base", ["demo", "aimers8"])
def test_the_example_adds_up_under_the_live_weights(base):
    rules = factories.contest(slug="x", base=base).rules
    made = example.of(rules)
    weights = {term["name"]: term["weight"] for term in made.terms}
    formula = rules.formula
    assert weights == {
        "accuracy": formula.accuracy, "memory": formula.memory, "speed": formula.speed,
    }  # fmt: skip
    assert made.value == pytest.approx(sum(term["points"] for term in made.terms))
    right = sum(row.benchmark.weight * row.right / row.questions for row in made.answers)
    base_right = sum(row.benchmark.weight * row.base_right / row.questions for row in made.answers)
    accuracy = next(term for term in made.terms if term["name"] == "accuracy")
    assert accuracy["value"] == pytest.approx(right / base_right)


def test_other_weights_make_another_example(client):
    online = factories.contest(slug="a", formula="online")
    final = factories.contest(slug="b", formula="final")
    shown = [example.of(contest.rules).value for contest in (online, final)]
    assert shown[0] != shown[1]
    for contest, value in zip((online, final), shown, strict=True):
        assert f"{value:.4f}" in page(client, f"/contests/{contest.slug}/rules/")


def test_rules_hold_the_organisers_words_in_the_readers_language(client, contest):
    assert "How to take part" in page(client, "/contests/demo/rules/")
    assert "참가 방법" in page(client, "/contests/demo/rules/", **{"Accept-Language": "ko"})


@pytest.mark.parametrize(
    ("search", "found"), [("GENCONF", True), ("토크나이저", True), ("tokenizer differ", True), ("zzz", False)]
)  # fmt: skip
def test_problem_codes_are_found_by_words_of_either_language(client, search, found):
    html = page(client, f"/problems/?q={search}")
    shown = [code for code in CATALOGUE if f'id="{code}"' in html]
    assert bool(shown) == found and len(shown) < len(CATALOGUE)
    assert ("No code or text matches." in html) != found


def test_every_code_has_its_anchor(client):
    html = page(client, "/problems/")
    assert all(f'<div id="{code}">' in html for code in CATALOGUE)


def in_turns(contest):
    """The same contest with engines that take turns."""
    source = contest.version.source.replace(
        "[speed]", '[speed]\npairing = "turns"\nblock_rounds = 7'
    )
    ContestVersion.objects.filter(pk=contest.version_id).update(source=source)


def test_rules_say_which_pairing_the_speed_test_has(client, contest):
    path = reverse("rules", args=[contest.slug])
    assert "Speed: side by side" in page(client, path)
    in_turns(contest)
    cache.clear()
    shown = page(client, path)
    assert "Speed: in turns" in shown
    assert "7 measured rounds in each block" in shown
    assert "Speed: side by side" not in shown


def test_a_submission_says_how_its_speed_was_paired(client, contest):
    plain = factories.report(contest=contest)
    blocks = tuple(
        SpeedBlock(role, 60.0, 3, (seconds,))
        for one in plain.speed[0].rounds
        for role, seconds in (("base", one.base_s), ("candidate", one.candidate_s))
    )
    turned = tuple(replace(one, pairing="turns", blocks=blocks) for one in plain.speed)
    client.force_login(factories.user(is_staff=True))
    for measured, words, others in (
        (plain, "Measured side by side", "Measured in turns"),
        (replace(plain, speed=turned), "Measured in turns", "Measured side by side"),
    ):
        evaluation = factories.scored(contest=contest, measured=measured)
        shown = page(client, evaluation.submission.get_absolute_url())
        assert words in shown
        assert others not in shown
