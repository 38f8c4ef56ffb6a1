"""The API holds its own specification, for everybody, for a person with a token and for a worker."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pytest

from leaderboard.accounts import tokens
from leaderboard.api import reading
from leaderboard.models import Worker
from leaderboard.submissions import dry_run
from tests import factories
from tests.leaderboard.api import fuzz

EXAMPLES = int(
    os.environ.get("API_FUZZ_EXAMPLES", "4")
)  # per operation; a minute on a quiet machine
SEED = int(os.environ.get("API_FUZZ_SEED", "1"))

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Scene:
    """A site where every kind of thing exists once: who asks, and the ids of what there is."""

    tokens: dict[str, str]
    known: dict[str, list[Any]]


@pytest.fixture
def scene(settings):
    settings.API_LIMITS = dict.fromkeys(settings.API_LIMITS, 10**9)
    contest = factories.contest()
    team = factories.team(contest=contest)
    captain = team.memberships.get().user
    scored = factories.scored(contest=contest, team=team)
    worker, token = Worker.issue("pbw", name="gpu-2", device="cpu", sandbox="process")
    running = factories.submission(contest=contest, team=team)
    factories.running(evaluation=running, on=worker)
    check = dry_run.waiting(user=captain, contest=contest, name="m.tar", size_bytes=1)
    return Scene(
        tokens={
            "anybody": "",
            "a person": tokens.issue_token(captain, "cli"),
            "a worker": token,
        },
        known={
            "slug": [contest.slug],
            "pk": [scored.submission_id, running.submission_id],
            "submission": [running.submission_id, scored.submission_id],
            "evaluation": [running.pk, scored.pk],
            "attempt": [1],
            "run": [1],
            "key": [check.pk],
        },
    )


@pytest.mark.parametrize("who", ["anybody", "a person", "a worker"])
def test_the_api_holds_its_specification(scene, who, capsys):
    headers = {"Authorization": f"Bearer {scene.tokens[who]}"} if scene.tokens[who] else {}
    found = fuzz.fuzz(headers, scene.known, examples=EXAMPLES, seed=SEED)
    with capsys.disabled():
        print(f"\n{who}: {found}")
    assert found.operations > 20
    assert found.statuses.total() > found.operations
    assert found.findings == [], "\n\n".join(found.findings)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/nothing", 404),
        ("get", "/api/contests/none", 404),
        ("delete", "/api/contests", 405),
    ],
)
def test_errors_that_django_answers_have_the_one_shape(client, method, path, status):
    answer = getattr(client, method)(path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("application/json")
    document = answer.json()
    assert document.keys() >= fuzz.SHAPE
    assert all(document[name] for name in fuzz.SHAPE)


def test_a_mistake_of_ours_has_the_one_shape(client, monkeypatch):
    client.raise_request_exception = False
    factories.contest()
    monkeypatch.setattr(reading, "contest_json", lambda *_: 1 / 0)
    answer = client.get("/api/contests")
    assert (answer.status_code, answer.json()["code"]) == (500, "HTTP_500")
