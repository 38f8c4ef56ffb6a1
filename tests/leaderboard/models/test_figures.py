"""What participants see of a score while the contest runs: rounded and moved, which keeps the split secret."""

from __future__ import annotations

import json
import re

import pytest
from django.utils import timezone

from grader.scoring import shown
from leaderboard.accounts.tokens import issue_token
from leaderboard.models import Contest, Delivery, Evaluation, Membership, public_figures
from tests import factories
from tests.cheats import split_inference


@pytest.mark.parametrize("strategy", split_inference.STRATEGIES)
def test_256_entries_tell_less_than_60_percent_of_512_questions(strategy):
    """Ridge regression on every number that an entry shows; chance is 50 %."""
    assert split_inference.told(strategy, exact=False) <= split_inference.INFERABLE


def test_the_same_regression_tells_far_more_from_exact_figures():
    assert split_inference.told("edge", exact=True, seeds=1) > 0.75


@pytest.mark.parametrize(
    ("value", "half_width", "found"),
    [
        (0.61237, 0.1, 0.6), (0.61237, 0.09, 0.62), (0.61237, 0.04, 0.62), (0.61237, 0.03, 0.61),
        (0.61237, 0.004, 0.612), (1.2345, 2.5, 1.0), (0.5, 0.0, 0.5),
    ],
)  # fmt: skip
def test_a_figure_is_rounded_to_half_of_its_interval(value, half_width, found):
    assert shown.rounded(value, half_width) == found


@pytest.fixture
def contest(db):
    contest = factories.contest()
    Contest.objects.update(exact_figures=False)
    contest.refresh_from_db()
    return contest


@pytest.fixture
def entry(contest):
    team = factories.team(contest=contest, name="Hangang")
    Membership.objects.update(mail_kinds=[Delivery.Kind.SCORED])
    factories.scored(contest=contest, kind="base", title="base", scheme="bf16", speedup=1.0)
    return factories.scored(contest=contest, team=team, accuracy=0.37, speedup=1.7)


def texts(client, entry, person):
    """Everything that shows figures to somebody, as text."""
    client.force_login(person)
    bearer = {"Authorization": f"Bearer {issue_token(person, 'test')}"}
    number, team = entry.submission_id, entry.submission.team_id
    paths = [
        "/", "/contests/demo/", "/contests/demo/board.json", "/contests/demo/board.csv",
        "/contests/demo/points.json", "/contests/demo/history/", "/contests/demo/history.json",
        f"/submissions/{number}/", f"/teams/{team}/", "/api/contests/demo/board",
        "/api/contests/demo/history", "/api/submissions", f"/api/submissions/{number}",
        f"/api/submissions/{number}/report",
    ]  # fmt: skip
    found = {}
    for path in paths:
        headers = {"Accept-Language": "en", **(bearer if path.startswith("/api") else {})}
        answer = client.get(path, headers=headers)
        assert answer.status_code == 200, path
        found[path] = answer.getvalue().decode()
    return found


def exact_numbers(entry):
    """The exact public figures, in every precision in which something shows them."""
    score = entry.score
    accuracy = next(term for term in score.terms if term["name"] == "accuracy")
    numbers = [score.value, score.accuracy, accuracy["value"], accuracy["points"]]
    return {form for n in numbers for form in (repr(n), f"{n:.4f}", f"{n:.6f}")}


def hits(text, forms):
    return {form for form in forms if re.search(rf"(?<![\d.]){re.escape(form)}(?!\d)", text)}


def test_nobody_but_staff_sees_exact_figures_before_the_end(client, contest, entry):
    entry = Evaluation.objects.select_related("score", "submission__team").get(pk=entry.pk)
    captain, forms = entry.submission.team.memberships.get().user, exact_numbers(entry)
    seen = texts(client, entry, captain)
    assert {path: hits(text, forms) for path, text in seen.items() if hits(text, forms)} == {}
    messages = json.dumps(list(Delivery.objects.values()), default=str)
    assert str(entry.submission_id) in messages
    assert hits(messages, forms) == set()

    staff = texts(client, entry, factories.user(is_staff=True))
    assert len([path for path, text in staff.items() if hits(text, forms)]) > 8, "it does find them"

    Contest.objects.update(revealed_at=timezone.now())
    after = texts(client, entry, captain)
    assert hits(after[f"/api/submissions/{entry.submission_id}/report"], forms)
    assert hits(after["/api/contests/demo/board"], forms)


def test_what_each_benchmark_came_out_as_is_not_shown_before_the_end(client, contest, entry):
    captain = entry.submission.team.memberships.get().user
    report = json.loads(
        texts(client, entry, captain)[f"/api/submissions/{entry.submission_id}/report"]
    )["report"]
    hidden = {
        "value",
        "stderr",
        "base_stderr",
        "difference",
        "difference_half_width",
        "won",
        "lost",
    }
    assert [hidden & set(row) for row in report["quality"]] == [set()] * len(report["quality"])
    Contest.objects.update(revealed_at=timezone.now())
    report = json.loads(
        texts(client, entry, captain)[f"/api/submissions/{entry.submission_id}/report"]
    )["report"]
    assert all(hidden <= set(row) for row in report["quality"])


def test_all_places_show_the_same_figures(client, contest, entry):
    captain = entry.submission.team.memberships.get().user
    seen = texts(client, entry, captain)
    number = entry.submission_id
    own = json.loads(seen[f"/api/submissions/{number}"])
    board = json.loads(seen["/api/contests/demo/board"])["entries"]
    (row,) = (one for one in board if one["submission"] == number)
    report = json.loads(seen[f"/api/submissions/{number}/report"])["score"]
    assert own["score"] == row["score"] == report["value"]
    assert own["half_width"] == row["half_width"] == report["half_width"]
    weighted = sum(term["points"] for term in own["terms"])
    assert own["score"] == shown.rounded(weighted, own["half_width"])


def test_equal_answers_get_equal_figures_and_the_base_model_its_own(contest, entry):
    score = Evaluation.objects.select_related("score").get(pk=entry.pk).score
    first, again = public_figures(score, contest), public_figures(score, contest)
    assert first == again
    assert first.half_width > score.half_width
    base = Evaluation.objects.select_related("score").get(submission__kind="base").score
    (term,) = (t for t in public_figures(base, contest).terms if t["name"] == "accuracy")
    assert term["value"] == pytest.approx(1.0, abs=0.3)


def test_ranks_and_ties_follow_the_exact_scores(client, contest):
    for i in range(6):
        factories.scored(contest=contest, accuracy=0.3 + 0.02 * i, speedup=1.5, seed=i)
    staff = texts_of_board(client, factories.user(is_staff=True))
    everybody = texts_of_board(client, factories.user())
    ranked = [[(e["submission"], e["rank"], e["tied"]) for e in b] for b in (staff, everybody)]
    assert ranked[0] == ranked[1]
    assert [e["score"] for e in staff] != [e["score"] for e in everybody]


def texts_of_board(client, person):
    client.force_login(person)
    return json.loads(client.get("/contests/demo/board.json").getvalue())["entries"]
