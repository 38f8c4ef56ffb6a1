"""What a worker may learn of the entry that it will probably be given next: nothing is reserved or changed."""

from __future__ import annotations

import json

import pytest

from grader.protocol.worker import NextEntry, decode_job
from grader.schema import decode
from leaderboard.models import Evaluation, Submission, Transition, Worker
from tests import factories

pytestmark = pytest.mark.django_db


class Grader:
    def __init__(self, client, contest, name):
        _, self._token = Worker.issue("pbw", name=name)
        self._client, self._contest, self.name = client, contest, name

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self._token}"}

    def ask(self, path):
        body = {
            "worker": self.name,
            "device": "cpu",
            "sandbox": "namespace",
            "contests": {self._contest.slug: self._contest.version.sha256},
        }
        return self._client.post(
            f"/api/worker/{path}",
            json.dumps(body),
            content_type="application/json",
            headers=self.headers,
        )

    def claims(self):
        return decode_job(self.ask("claim").json())

    def sees(self):
        answer = self.ask("next")
        return decode(NextEntry, answer.json()) if answer.status_code == 200 else answer.status_code

    def fetches(self, submission_id, **headers):
        path = f"/api/worker/next/{submission_id}/archive"
        return self._client.get(path, headers=self.headers | headers)


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def graders(client, contest):
    return [Grader(client, contest, f"gpu-{n}") for n in range(3)]


@pytest.fixture
def enter(contest):
    def enter(content=b"the archive"):
        row = factories.submission(contest=contest, content=content)
        return factories.checked(evaluation=row)

    return enter


def test_a_grading_worker_sees_and_fetches_the_next_and_nothing_changes(graders, enter):
    worker, rows = graders[0], [enter(), enter(b"0123456789")]
    worker.claims()
    before = list(Evaluation.objects.order_by("pk").values()), Transition.objects.count()
    seen = worker.sees()
    assert (seen.submission, seen.archive_bytes) == (rows[1].submission_id, 10)
    assert seen.archive_sha256 == rows[1].submission.archive_sha256
    whole = worker.fetches(seen.submission)
    assert b"".join(whole.streaming_content) == b"0123456789"
    rest = worker.fetches(seen.submission, Range="bytes=6-")
    assert (rest.status_code, b"".join(rest.streaming_content)) == (206, b"6789")
    assert (list(Evaluation.objects.order_by("pk").values()), Transition.objects.count()) == before


def test_an_idle_worker_sees_nothing_and_fetches_nothing(graders, enter):
    row = enter()
    assert graders[0].sees() == 204
    assert graders[0].fetches(row.submission_id).status_code == 409


def test_each_worker_sees_another_entry_in_the_order_in_which_they_began(graders, enter):
    rows = [enter() for _ in range(6)]
    for worker in graders:
        worker.claims()
    seen = [worker.sees().submission for worker in graders]
    assert seen == [row.submission_id for row in rows[3:]]
    assert graders[2].fetches(rows[3].submission_id).status_code == 200  # as near as its own


def test_what_is_claimed_or_far_from_the_front_cannot_be_fetched(graders, enter):
    rows = [enter() for _ in range(3)]
    graders[0].claims()
    assert graders[0].fetches(rows[2].submission_id).status_code == 409
    graders[1].claims()
    assert graders[0].fetches(rows[1].submission_id).status_code == 409
    assert graders[0].fetches(rows[2].submission_id).status_code == 200


@pytest.mark.parametrize("why", ["unchecked", "anothers", "cancelled", "other rules"])
def test_only_what_it_could_claim(graders, enter, why):
    _, row = enter(), enter()
    graders[0].claims()
    found = Evaluation.objects.filter(pk=row.pk)
    match why:
        case "unchecked":
            found.update(is_checked=False)
        case "anothers":
            found.update(only_worker=Worker.objects.get(name="gpu-1"))
        case "cancelled":
            found.update(status="cancelled")
        case "other rules":
            graders[0]._contest = factories.contest(slug="other")
    assert graders[0].sees() == 204
    assert graders[0].fetches(row.submission_id).status_code == 409


def test_a_drained_worker_fetches_nothing_more(graders, enter):
    _, row = enter(), enter()
    graders[0].claims()
    Worker.objects.filter(name="gpu-0").update(drained="2026-01-01T00:00:00Z")
    assert graders[0].sees() == 204
    assert graders[0].fetches(row.submission_id).status_code == 409


def test_an_entry_from_the_hub_has_no_archive_but_its_files(graders, enter):
    _, row = enter(), enter()
    hub = {"repo": "team/model", "revision": "main", "commit": "1" * 40, "files": []}
    Submission.objects.filter(pk=row.submission_id).update(archive="", hub=hub)
    graders[0].claims()
    assert graders[0].sees().hub.repo == "team/model"
    assert graders[0].fetches(row.submission_id).status_code == 404
