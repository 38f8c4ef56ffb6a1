"""Every worker message is validated: an impossible one is refused with its location, and nothing breaks."""

from __future__ import annotations

import json
import threading

import pytest
from django.db import connection
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.problems.catalogue import Stage
from grader.protocol.documents import Progress
from grader.schema import encode
from leaderboard import workers
from leaderboard.models import Attempt, Evaluation, Result, Score, Worker
from tests import factories
from tests.grader.protocol.test_wire import HOSTILE, places, spoil


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def post(client):
    """Post as a registered worker, bytes or a document."""
    _, token = Worker.issue("pbw", name="gpu-1", device="cpu", sandbox="process")

    def post(path, body, by=client):
        sent = body if isinstance(body, bytes) else json.dumps(body)
        return by.post(
            f"/api/worker/{path}",
            sent,
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
        )

    return post


@pytest.fixture
def running(contest, post):
    evaluation = factories.submission(contest=contest)
    return factories.running(evaluation=evaluation, on=Worker.objects.get())


def address(evaluation, verb):
    return f"attempts/{evaluation.pk}/{evaluation.attempt}/{verb}"


def sent(contest, path=None, value=None):
    document = encode(factories.report(contest=contest, questions=12))
    if path:
        spoil(document, path, value)
    return document


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("system.cpu", "Xeon\0", "system.cpu"),
        ("system.cpu", "\ud800", "system.cpu"),
        ("system.versions", {"\0": "1"}, "system.versions"),
        ("checkpoint.words", {"en": {"a": {}}}, "checkpoint.words.en"),
        ("speed.0.rounds.0.base_s", 0.0, "speed[0].rounds[0].base_s"),
        ("speed.0.rounds.0.candidate_s", -1.0, "speed[0].rounds[0].candidate_s"),
        ("memory.base_bytes", 10**30, "memory.base_bytes"),
        ("memory.base_bytes", -1, "memory.base_bytes"),
        ("quality.1.benchmark", "gsm8k", "quality[1]"),
        ("speed.0.candidate.p99_ttft_ms", 1e-9, "speed[0].candidate.p99_ttft_ms"),
        ("notices", [{"code": "MADE_UP"}], "notices[0].code"),
        ("contest", "another", "contest"),
    ],
)
def test_a_report_that_cannot_be_is_our_fault_with_its_place(
    post, running, contest, path, value, place
):
    response = post(address(running, "report"), sent(contest, path, value))
    assert (response.status_code, response.json()["code"]) == (422, "MALFORMED")
    assert place in response.json()["message"]
    running.refresh_from_db()
    assert (running.status, running.faults) == (Evaluation.Status.QUEUED, 1)
    (problem,) = Attempt.objects.get().problems
    assert (problem["code"], problem["where"]) == ("SYS_RESULT_INVALID", place)
    assert problem["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 50_000, b"{}", b"null", b'{"a": 1e999}'])
def test_bytes_that_are_no_report_are_our_fault(post, running, body):
    assert post(address(running, "report"), body).status_code == 422
    running.refresh_from_db()
    assert (running.status, running.faults) == (Evaluation.Status.QUEUED, 1)
    assert Attempt.objects.get().problems[0]["code"] == "SYS_RESULT_INVALID"


@pytest.mark.django_db
def test_other_weights_than_preflight_found_are_refused(post, running, contest):
    document = encode(factories.report(contest=contest, safetensors_bytes=5))
    response = post(address(running, "report"), document)
    assert response.status_code == 422
    assert "checkpoint.safetensors_bytes: expected" in response.json()["message"]


@pytest.mark.django_db
def test_a_report_may_be_longer_than_what_a_page_may_send(post, running, contest, settings):
    document = encode(factories.report(contest=contest, questions=8000))
    assert len(json.dumps(document)) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    assert post(address(running, "report"), document).status_code == 200
    running.refresh_from_db()
    assert running.status == Evaluation.Status.SCORED


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["progress", "reject", "fail"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 50_000,
        b'{"stage": "speed", "note": "\\u0000"}',
        b'{"stage": "speed", "done": -1}',
        b'{"problems": [{"code": "SYS_NOISY", "where": "\\ud800"}]}',
        b'{"problems": [{"code": "SYS_NOISY"}], "log": "\\u0000"}',
        b'{"problems": []}',
        b'{"problems": 1}',
    ],
)
def test_other_messages_that_cannot_be_change_nothing(post, running, verb, body):
    response = post(address(running, verb), body)
    assert (response.status_code, response.json()["code"]) == (422, "MALFORMED")
    running.refresh_from_db()
    assert (running.status, running.faults) == (Evaluation.Status.RUNNING, 0)


@pytest.mark.django_db
def test_numbers_that_no_column_holds_are_nobodys_attempt(post, running):
    path = f"attempts/{running.pk}/{10**30}/progress"
    assert post(path, encode(Progress(Stage.LOAD))).status_code == 409
    assert post(f"aa/{10**30}/progress", encode(Progress(Stage.LOAD))).status_code == 409


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"contests": {"a\0": ""}},
        {"contests": {"a" * 101: ""}},
        {"versions": {"vllm": "1" * 101}},
        {"boot": "\ud800"},
        {"memory_bytes": -1},
        {"memory_bytes": 2**64},
    ],
)
def test_a_claim_that_cannot_be_is_refused(post, change):
    body = {"worker": "gpu-1", "device": "cpu", "contests": {}}
    assert post("claim", body).status_code == 204
    assert post("claim", body | change).status_code == 422


@pytest.mark.django_db
def test_any_spoilt_message_is_answered(post, contest):
    """Any input gets one of the documented answers, and a score that is stored can be shown."""
    worker = Worker.objects.get()
    said = {"worker": "gpu-1", "device": "cpu", "sandbox": "namespace"}
    said["contests"] = {contest.slug: contest.version.sha256}
    documents = {
        "claim": said,
        "progress": encode(Progress(Stage.SPEED, 1, 2, "note")),
        "fail": {"problems": [{"code": "SYS_NOISY", "where": "", "detail": ""}], "log": "end"},
        "report": sent(contest),
    }
    choices = [(verb, path) for verb, one in documents.items() for path in places(one)]
    quiet = Client(raise_request_exception=True)

    @settings(max_examples=60)
    @given(st.sampled_from(choices), HOSTILE)
    def try_it(choice, value):
        verb, path = choice
        document = json.loads(json.dumps(documents[verb]))
        spoil(document, ".".join(map(str, path)), value)
        if verb == "claim":
            assert post("claim", document, by=quiet).status_code in (200, 204, 422)
            return
        evaluation = factories.submission(contest=contest)
        evaluation = factories.running(evaluation=evaluation, on=worker)
        response = post(address(evaluation, verb), document, by=quiet)
        assert response.status_code in (200, 422)
        evaluation.refresh_from_db()
        if evaluation.score:
            assert 0 <= evaluation.score.value <= 1000
            assert quiet.get(f"/api/contests/{contest.slug}/board").status_code == 200

    try_it()


@pytest.mark.django_db(transaction=True)
def test_simultaneous_repeats_of_one_report_all_succeed(post, running, contest):
    document = json.dumps(sent(contest)).encode()
    barrier, answers = threading.Barrier(6), []

    def deliver():
        barrier.wait()
        answers.append(post(address(running, "report"), document, by=Client()).status_code)
        connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 6
    assert Result.objects.count() == Score.objects.count() == 1
    running.refresh_from_db()
    assert running.status == Evaluation.Status.SCORED


@pytest.mark.django_db
def test_an_aa_report_that_cannot_be_fails_the_test_with_its_place(post, contest):
    worker = Worker.objects.get()
    Worker.objects.update(contests={contest.slug: contest.version.sha256})
    row = workers.aa.ask(Worker.objects.get(), contest, by="mina")
    assert workers.claim(Worker.objects.get()).job.run == row.pk
    measured = sent(contest, "speed.0.rounds.1.base_s", 1e300)
    keys = ("contest", "contest_sha256", "speed", "system", "stages")
    response = post(f"aa/{row.pk}/report", {key: measured[key] for key in keys})
    assert response.status_code == 422
    row.refresh_from_db()
    (problem,) = row.problems
    assert (problem["code"], problem["where"]) == (
        "SYS_RESULT_INVALID",
        "speed[0].rounds[1].base_s",
    )
    worker.refresh_from_db()
    assert worker.drained is not None
