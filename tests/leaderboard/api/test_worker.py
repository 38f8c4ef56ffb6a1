"""The worker API: tokens, fencing over HTTP, archives, malformed messages."""

from __future__ import annotations

import json

import pytest

from grader.problems.catalogue import Stage
from grader.protocol.documents import Progress
from grader.protocol.worker import decode_job
from grader.schema import encode
from leaderboard.accounts import tokens
from leaderboard.models import Evaluation, Result, Score, Worker
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def door(client):
    """Post as a registered worker: ``door(path, body)`` returns the response."""
    _, token = Worker.issue("pbw", name="gpu-1")

    def post(path, body):
        return client.post(
            f"/api/worker/{path}",
            json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
        )

    post.token = token
    return post


def ask(door, contest):
    body = {"worker": "gpu-1", "device": "cpu", "sandbox": "namespace"}
    return door("claim", {**body, "contests": {contest.slug: contest.version.sha256}})


def test_claim_gives_a_job_that_the_worker_can_decode_and_then_nothing(door, contest):
    evaluation = factories.checked(evaluation=factories.submission(contest=contest))
    response = ask(door, contest)
    assert response.status_code == 200
    job = decode_job(response.json())
    assert (job.evaluation, job.attempt) == (evaluation.pk, 1)
    assert ask(door, contest).status_code == 204
    worker = Worker.objects.get()
    assert (worker.device, worker.sandbox) == ("cpu", "namespace")
    assert worker.last_seen is not None


def test_whole_conversation_ends_on_the_board(door, client, contest):
    evaluation = factories.checked(
        evaluation=factories.submission(contest=contest, content=b"the archive")
    )
    job = decode_job(ask(door, contest).json())
    headers = {"Authorization": f"Bearer {door.token}"}
    archive = client.get(job.archive_url, headers=headers)
    assert b"".join(archive.streaming_content) == b"the archive"
    path = f"attempts/{job.evaluation}/{job.attempt}"
    assert door(f"{path}/progress", encode(Progress(Stage.SPEED, 2, 6))).status_code == 200
    assert door(f"{path}/report", encode(factories.report(contest=contest))).status_code == 200
    evaluation.refresh_from_db()
    assert evaluation.status == Evaluation.Status.SCORED
    board = client.get(f"/api/contests/{contest.slug}/board").json()
    assert [entry["submission"] for entry in board["entries"]] == [evaluation.submission_id]


@pytest.mark.parametrize("message", ["progress", "report", "reject", "fail", "archive"])
def test_older_attempt_gets_409_and_changes_nothing(door, client, contest, message):
    evaluation = factories.checked(evaluation=factories.submission(contest=contest))
    ask(door, contest)
    Evaluation.objects.filter(pk=evaluation.pk).update(attempt=2)
    bodies = {
        "progress": encode(Progress(Stage.SPEED)),
        "report": encode(factories.report(contest=contest)),
        "reject": {"problems": [{"code": "LOAD_ENGINE"}]},
        "fail": {"problems": [{"code": "SYS_ENGINE_DIED"}]},
    }
    path = f"attempts/{evaluation.pk}/1/{message}"
    if message == "archive":
        headers = {"Authorization": f"Bearer {door.token}"}
        response = client.get(f"/api/worker/{path}", headers=headers)
    else:
        response = door(path, bodies[message])
    assert response.status_code == 409
    assert response.json()["code"] == "STALE_ATTEMPT"
    evaluation.refresh_from_db()
    assert evaluation.status == Evaluation.Status.RUNNING


def test_a_stolen_token_writes_nothing_for_an_attempt_of_another_worker(door, client, contest):
    evaluation = factories.running(
        evaluation=factories.submission(contest=contest), on=factories.worker(name="gpu-2")
    )
    ending = {"problems": [{"code": "SYS_NOISY"}]}
    bodies = {
        "report": encode(factories.report(contest=contest)),
        "reject": {"problems": [{"code": "LOAD_ENGINE"}]},
        "fail": ending,
        "progress": encode(Progress(Stage.SPEED, 1, 2)),
    }
    before = Evaluation.objects.values().get(pk=evaluation.pk)
    for verb, body in bodies.items():
        assert door(f"attempts/{evaluation.pk}/1/{verb}", body).status_code == 409
    archive = client.get(
        f"/api/worker/attempts/{evaluation.pk}/1/archive",
        headers={"Authorization": f"Bearer {door.token}"},
    )
    assert archive.status_code == 409
    assert Evaluation.objects.values().get(pk=evaluation.pk) == before
    assert not Result.objects.exists()
    assert not Score.objects.exists()


def test_malformed_report_is_refused_and_the_attempt_counts_as_our_fault(door, contest):
    evaluation = factories.checked(evaluation=factories.submission(contest=contest))
    ask(door, contest)
    response = door(f"attempts/{evaluation.pk}/1/report", {"contest": "demo"})
    assert response.status_code == 422
    assert response.json()["code"] == "MALFORMED"
    evaluation.refresh_from_db()
    assert (evaluation.status, evaluation.faults) == (Evaluation.Status.QUEUED, 1)


def test_unknown_problem_code_is_refused(door, contest):
    evaluation = factories.checked(evaluation=factories.submission(contest=contest))
    ask(door, contest)
    response = door(f"attempts/{evaluation.pk}/1/reject", {"problems": [{"code": "MADE_UP"}]})
    assert response.status_code == 422
    evaluation.refresh_from_db()
    assert evaluation.status == Evaluation.Status.RUNNING


@pytest.mark.parametrize("token", ["", "pbw_wrong"])
def test_without_a_valid_worker_token_the_door_stays_shut(client, contest, token):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = client.post(
        "/api/worker/claim", "{}", content_type="application/json", headers=headers
    )
    assert response.status_code == 401
    assert set(response.json()) == {"code", "message", "hint"}


def test_participants_token_does_not_open_the_workers_door_nor_the_reverse(client, door, contest):
    token = tokens.issue_token(factories.user(), "laptop")
    response = client.post(
        "/api/worker/claim",
        json.dumps({"worker": "x", "device": "cpu", "contests": {}}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert response.status_code == 401
    headers = {"Authorization": f"Bearer {door.token}"}
    assert client.get("/api/me", headers=headers).status_code == 401


def test_a_download_is_continued_where_it_broke_off(door, client, contest):
    evaluation = factories.checked(evaluation=factories.submission(contest=contest))
    job = decode_job(ask(door, contest).json())
    bearer = {"Authorization": f"Bearer {door.token}"}
    whole = b"".join(client.get(job.archive_url, headers=bearer).streaming_content)
    assert len(whole) == evaluation.submission.archive_bytes
    rest = client.get(job.archive_url, headers={**bearer, "Range": "bytes=5-"})
    assert rest.status_code == 206
    assert b"".join(rest.streaming_content) == whole[5:]
    assert rest["Content-Length"] == str(len(whole) - 5)
    assert rest["Content-Range"] == f"bytes 5-{len(whole) - 1}/{len(whole)}"


@pytest.mark.parametrize(
    "wanted", ["bytes=0-", "bytes=9999999-", "bytes=-5", "bytes=1-2", "x", "bytes=٣-"]
)
def test_any_other_range_is_answered_with_the_whole(door, client, contest, wanted):
    evaluation = factories.checked(evaluation=factories.submission(contest=contest))
    job = decode_job(ask(door, contest).json())
    headers = {"Authorization": f"Bearer {door.token}", "Range": wanted}
    response = client.get(job.archive_url, headers=headers)
    assert response.status_code == 200
    assert len(b"".join(response.streaming_content)) == evaluation.submission.archive_bytes
