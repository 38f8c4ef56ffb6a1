"""The operator's selftest of a running site: over HTTP, through its preflight, against known verdicts."""

from __future__ import annotations

import dataclasses
import io
import json
import socketserver
import threading

import httpx
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from grader import gallery
from grader.gallery.case import Case
from grader.problems.catalogue import Problem
from leaderboard import lifecycle
from leaderboard.core import doorbell
from leaderboard.models import ApiToken, Evaluation
from leaderboard.operations.selftest import one_per_code
from leaderboard.submissions import preflight
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def selftest(live_server, monkeypatch):
    """``selftest(cases, **options)`` -> (exit code, stdout); the site's queue runs inline."""
    monkeypatch.setattr(doorbell, "enqueue_check", preflight.check)

    def run(cases, **options):
        monkeypatch.setattr(gallery, "CASES", tuple(cases))
        out = io.StringIO()
        options = {"url": live_server.url, "grade": 0, "patience": 30, **options}
        try:
            call_command("selftest", stdout=out, stderr=io.StringIO(), **options)
        except CommandError as error:
            return error.returncode, out.getvalue()
        return 0, out.getvalue()

    return run


def named(*names):
    return [case for case in gallery.CASES if case.id in names]


def test_right_verdicts_are_counted_and_nothing_of_the_run_stays_open(selftest):
    cases = named(
        "good-zip", "good-W8A8", "nan", "pickle-beside-weights", "zip-symlink", "eos-list"
    )
    assert len(cases) == 6
    assert selftest(cases) == (0, "6/6\n")
    assert not Evaluation.objects.filter(status__in=["queued", "running"]).exists()
    assert not ApiToken.objects.filter(revoked__isnull=True).exists()
    assert not User.objects.get(username="selftest").is_active


def test_a_wrong_verdict_is_named_and_ends_with_1(selftest):
    good = named("good-zip")[0]
    claims = dataclasses.replace(good, id="claims-nan", code="WEIGHTS_NONFINITE")
    code, out = selftest([good, claims], json=True)
    told = json.loads(out)
    assert (code, told["right"], told["of"]) == (1, 1, 2)
    assert {v["case"]: v["fault"] for v in told["verdicts"]} == {
        "good-zip": "",
        "claims-nan": "expected WEIGHTS_NONFINITE, found acceptance",
    }


def test_a_submission_that_ran_would_be_seen(selftest):
    (good,) = named("good-zip")

    def build(bench):
        bench.marker.mkdir()  # as if code from it had been executed
        return good.build(bench)

    code, out = selftest([Case("ran", "", build, marker=True)], json=True)
    assert code == 1
    assert json.loads(out)["verdicts"][0]["fault"] == "something of the submission was executed"


def test_a_site_that_does_not_answer_ends_with_2(selftest):
    assert selftest(named("good-zip"), url="http://127.0.0.1:9")[0] == 2
    assert selftest(named("good-zip"), only="no such case")[0] == 2


def test_quick_still_meets_every_code():
    chosen = one_per_code(gallery.CASES)
    assert {(c.code, c.notice) for c in chosen} == {(c.code, c.notice) for c in gallery.CASES}
    assert len(chosen) < len(gallery.CASES) / 3


@pytest.fixture
def worker(monkeypatch):
    """A worker that keeps up with the queue; ``codes`` is what it refuses each checkpoint with."""
    codes = ["", "RUN_NONFINITE"]

    def grade(evaluation_id):
        preflight.check(evaluation_id)
        evaluation = Evaluation.objects.get(pk=evaluation_id)
        if evaluation.submission.contest_id != "demo":
            return
        factories.running(evaluation=evaluation)
        if code := codes.pop(0):
            lifecycle.reject(evaluation.pk, evaluation.attempt, [Problem(code)])
        else:
            report = factories.report(contest=evaluation.submission.contest)
            lifecycle.record(evaluation.pk, evaluation.attempt, report)

    monkeypatch.setattr(doorbell, "enqueue_check", grade)
    return codes


def test_a_worker_scores_the_good_and_refuses_what_only_an_engine_can(selftest, worker):
    factories.contest()
    code, out = selftest(named("good-zip"), json=True, grade=1)
    told = json.loads(out)
    assert {v["case"]: v["expected"] for v in told["verdicts"]} == {
        "good-zip": "",
        "graded good-zip": "",
        "graded overflow-when-run": "RUN_NONFINITE",
    }
    assert (code, told["right"]) == (0, 3), told


def test_a_worker_that_scores_what_it_must_refuse_is_named(selftest, worker):
    factories.contest()
    worker[:] = ["", ""]
    code, out = selftest(named("good-zip"), json=True, grade=1)
    faults = {v["case"]: v["fault"] for v in json.loads(out)["verdicts"]}
    assert code == 1
    assert faults["graded overflow-when-run"] == "expected rejected RUN_NONFINITE, found scored"


class HangingUp(socketserver.BaseRequestHandler):
    """A proxy that answers one request, and closes the connection just as a second one arrives."""

    def handle(self):
        file = self.request.makefile("rb")
        method, path, _ = file.readline().decode().split(" ")
        headers = {}
        while (line := file.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = file.read(int(headers.get("content-length", 0)))
        kept = {k: v for k, v in headers.items() if k not in ("host", "connection")}
        answer = httpx.request(method, self.server.site + path, headers=kept, content=body)
        self.request.sendall(
            f"HTTP/1.1 {answer.status_code} OK\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(answer.content)}\r\n\r\n".encode()
            + answer.content
        )
        self.request.recv(1)


def test_a_site_that_closes_idle_connections_is_no_fault(selftest, live_server):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HangingUp) as server:
        server.site = live_server.url
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        assert selftest(named("good-zip", "nan", "zip-symlink"), url=address) == (0, "3/3\n")
        server.shutdown()
