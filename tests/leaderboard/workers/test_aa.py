"""A/A tests on the site: requested or due, claimed before any grade, judged, and the effect of a failure."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils.translation import override

from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import AAReport, Progress, Round
from grader.protocol.worker import AAJob
from grader.schema import encode
from leaderboard import lifecycle, tasks, workers
from leaderboard.models import AARun, Contest, ContestVersion, Worker
from leaderboard.operations import sweeper
from tests import factories
from tests.leaderboard.workers.test_registry import enlist, waiting

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return with_rules(every_hours=0)


def with_rules(**aa):
    """The demo contest with other ``[aa]`` rules."""
    row = factories.contest()
    source = row.version.source
    for key, value in aa.items():
        source = re.sub(rf"^{key} = \S+", f"{key} = {value}", source, count=1, flags=re.M)
    version, _ = ContestVersion.objects.get_or_create(
        contest=row, sha256=__import__("hashlib").sha256(source.encode()).hexdigest(),
        defaults={"source": source, "folder": row.version.folder},
    )  # fmt: skip
    Contest.objects.filter(pk=row.pk).update(version=version)
    return Contest.objects.select_related("version").get(pk=row.pk)


def report(contest, ratio=1.0, base_s=2.0):
    """An A/A report whose second engine was ``ratio`` times as fast in every round."""
    measured = factories.report(contest=contest)
    wiggle = (1.0, 1.01, 0.99, 1.005, 0.995, 1.0)
    rounds = tuple(
        Round(n % 2 == 0, base_s * wiggle[n] / ratio, base_s * wiggle[-n - 1]) for n in range(6)
    )
    return AAReport(
        contest.slug,
        contest.version.sha256,
        tuple(replace(result, rounds=rounds) for result in measured.speed),
        measured.system,
    )


def put_through(worker, contest, **measured):
    """Request, claim and report one test."""
    row = workers.aa.ask(worker, contest, by="mina")
    assert workers.claim(worker).job.run == row.pk
    return workers.aa.record(worker, row.pk, report(contest, **measured))


def test_test_comes_before_the_next_grade_and_is_fenced_like_one(contest):
    worker = enlist(contest)
    evaluation = waiting(contest)
    row = workers.aa.ask(worker, contest, by="mina")
    job = workers.claim(worker).job
    assert (type(job), job.run) == (AAJob, row.pk)
    workers.aa.progress(worker, row.pk, Progress(Stage.SPEED, 4, 20))
    (view,) = workers.overview()
    assert (view.state, view.test.pk, view.progress["done"]) == ("busy", row.pk, 4)
    done = workers.aa.record(worker, row.pk, report(contest))
    assert done.status == "passed"
    assert [o["shape"] for o in done.outcomes] == ["latency", "throughput"]
    assert workers.claim(worker).job.evaluation == evaluation.pk


def test_repeated_report_changes_nothing_and_is_welcome(contest):
    worker = enlist(contest)
    row = put_through(worker, contest)
    again = workers.aa.record(worker, row.pk, report(contest, ratio=3.0))
    assert (again.status, again.finished) == ("passed", row.finished)


def test_failing_worker_is_drained_and_the_staff_told(
    contest, django_capture_on_commit_callbacks, monkeypatch
):
    factories.user(name="organiser", is_staff=True)
    factories.user(name="participant")
    rung = []
    monkeypatch.setattr("leaderboard.core.doorbell.enqueue_mail", lambda *args: rung.append(args))
    worker = enlist(contest)
    waiting(contest)
    with django_capture_on_commit_callbacks(execute=True):
        row = put_through(worker, contest, ratio=1.5)
    assert row.status == "failed"
    assert [p["code"] for p in row.problems] == ["SYS_AA_RATIO"] * 2
    worker.refresh_from_db()
    assert worker.drained is not None
    assert "SYS_AA_RATIO latency" in worker.drain_reason
    assert workers.claim(worker).job is None
    ((subject, text, addresses),) = rung
    assert addresses == ["organiser@example.org"]
    assert "gpu-1" in subject
    assert "Check the machine for other load" in text
    tasks.mail(subject, text, addresses)
    assert mail.outbox[0].to == ["organiser@example.org"]


def test_worker_whose_base_model_has_become_slower_fails_against_its_own_past(contest):
    worker = enlist(contest)
    for _ in range(3):
        assert put_through(worker, contest).passed
    row = put_through(worker, contest, base_s=4.0)
    assert {p["code"] for p in row.problems} == {"SYS_AA_DRIFT"}
    other = enlist(contest, "gpu-2")  # another worker has its own history
    assert put_through(other, contest, base_s=4.0).passed


def test_drained_worker_is_tested_on_demand_and_stays_drained(contest):
    worker = enlist(contest)
    workers.drain(worker, "fan", by="mina")
    worker.refresh_from_db()
    assert put_through(worker, contest).passed
    worker.refresh_from_db()
    assert worker.drained is not None


def test_test_that_breaks_does_not_pass(contest):
    worker = enlist(contest)
    row = workers.aa.ask(worker, contest, by="mina")
    workers.claim(worker)
    workers.aa.fail(worker, row.pk, [Problem("SYS_NOISY", "latency", "±0.2")], "tail")
    row.refresh_from_db()
    assert (row.status, row.log) == ("failed", "tail")
    worker.refresh_from_db()
    assert "SYS_NOISY" in worker.drain_reason


def test_silent_worker_loses_its_test_and_can_write_nothing_late(contest):
    worker = enlist(contest)
    row = workers.aa.ask(worker, contest, by="mina")
    workers.claim(worker)
    AARun.objects.update(lease_until=Now() - timedelta(seconds=1))
    sweeper.sweep()
    row.refresh_from_db()
    assert row.status == "lost"
    worker.refresh_from_db()
    assert worker.drained is None
    for late in (
        lambda: workers.aa.progress(worker, row.pk, Progress(Stage.SPEED)),
        lambda: workers.aa.record(worker, row.pk, report(contest)),
        lambda: workers.aa.fail(worker, row.pk, [Problem("SYS_NOISY")]),
    ):
        with pytest.raises(lifecycle.StaleAttempt):
            late()


def test_another_workers_test_cannot_be_touched(contest):
    worker, thief = enlist(contest), enlist(contest, "gpu-2")
    row = workers.aa.ask(worker, contest, by="mina")
    workers.claim(worker)
    with pytest.raises(lifecycle.StaleAttempt):
        workers.aa.record(thief, row.pk, report(contest))


def test_schedule_asks_at_the_first_claim_after_a_restart_and_when_time_has_passed():
    contest = with_rules(every_hours=24)
    worker = enlist(contest)
    job = workers.claim(worker).job
    assert isinstance(job, AAJob)
    workers.aa.record(worker, job.run, report(contest))
    assert workers.claim(worker).job is None
    restarted = enlist(contest, boot="second")
    assert isinstance(workers.claim(restarted).job, AAJob)
    workers.aa.record(restarted, AARun.objects.latest("pk").pk, report(contest))
    assert workers.claim(restarted).job is None
    AARun.objects.update(finished=Now() - timedelta(hours=25))
    Worker.objects.update(booted=Now() - timedelta(hours=50))
    assert isinstance(workers.claim(restarted).job, AAJob)
    assert AARun.objects.filter(asked_by="").count() == 3


def test_schedule_leaves_drained_workers_alone():
    contest = with_rules(every_hours=24)
    worker = enlist(contest)
    workers.drain(worker, "fan", by="mina")
    worker.refresh_from_db()
    assert workers.claim(worker).job is None
    assert not AARun.objects.exists()


def test_same_test_is_not_asked_for_twice(contest):
    worker = enlist(contest)
    workers.aa.ask(worker, contest, by="mina")
    with pytest.raises(workers.AlreadyAsked):
        workers.aa.ask(worker, contest, by="jiho")


def test_worker_that_may_not_grade_the_contest_is_not_tested_on_it(contest):
    worker = enlist(contest, sandbox="none")
    with pytest.raises(workers.NotPossible), override("en"):
        workers.aa.ask(worker, contest, by="mina")
    with pytest.raises(CommandError, match="sandbox"):
        call_command("aa", "gpu-1")


def test_command_asks_and_names_what_is_missing(contest, capsys):
    enlist(contest)
    call_command("aa", "gpu-1")
    assert "requested" in capsys.readouterr().err
    with pytest.raises(CommandError, match="already"):
        call_command("aa", "gpu-1")
    with pytest.raises(CommandError, match="no worker named 'gpu-7'"):
        call_command("aa", "gpu-7")
    with pytest.raises(CommandError, match="loaded: demo"):
        call_command("aa", "gpu-1", "--contest", "other")


@pytest.fixture
def door(client, contest):
    worker, token = workers.register("gpu-1", by="mina")
    enlist(contest)

    def post(path, body):
        return client.post(
            f"/api/worker/{path}",
            json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
        )

    return post


def test_whole_conversation_over_http(door, contest):
    worker = Worker.objects.get()
    row = workers.aa.ask(worker, contest, by="mina")
    body = {"worker": "gpu-1", "device": "cpu", "sandbox": "process", "boot": "first"}
    body["contests"] = {contest.slug: contest.version.sha256}
    job = door("claim", body).json()
    assert (job["kind"], job["evaluation"]) == ("aa", row.pk)
    assert door(f"aa/{row.pk}/progress", encode(Progress(Stage.LOAD))).status_code == 200
    assert door(f"aa/{row.pk}/report", encode(report(contest))).status_code == 200
    row.refresh_from_db()
    assert row.status == "passed"
    assert door(f"aa/{row.pk}/progress", encode(Progress(Stage.LOAD))).status_code == 409


@pytest.mark.parametrize("spoil", ["shape", "rounds", "time", "json"])
def test_report_that_cannot_be_judged_is_refused_and_the_test_failed(door, contest, spoil):
    worker = Worker.objects.get()
    row = workers.aa.ask(worker, contest, by="mina")
    workers.claim(worker)
    body = encode(report(contest))
    if spoil == "shape":
        body["speed"] = body["speed"][:1]
    elif spoil == "rounds":
        body["speed"][0]["rounds"] = body["speed"][0]["rounds"][:1]
    elif spoil == "time":
        body["speed"][0]["rounds"][0]["candidate_s"] = 0.0
    else:
        body = {"contest": "demo"}
    response = door(f"aa/{row.pk}/report", body)
    assert (response.status_code, response.json()["code"]) == (422, "MALFORMED")
    row.refresh_from_db()
    assert (row.status, row.problems[0]["code"]) == ("failed", "SYS_RESULT_INVALID")


def lose(worker, contest):
    """A test whose worker claims it and then goes silent."""
    row = workers.aa.ask(worker, contest, by="mina")
    assert workers.claim(worker).job.run == row.pk
    AARun.objects.filter(pk=row.pk).update(lease_until=Now() - timedelta(seconds=1))
    assert workers.return_lost_tests() == 1
    worker.refresh_from_db()
    return row


def test_a_worker_that_loses_two_tests_in_a_row_is_drained_and_staff_are_told(contest):
    factories.user(name="hana", is_staff=True)
    worker = enlist(contest)
    first = lose(worker, contest)
    assert worker.drained is None, "once is the network"
    second = lose(worker, contest)
    assert worker.drained is not None
    assert f"{first.pk} and {second.pk} were lost" in worker.drain_reason
    assert workers.return_lost_tests() == 0


def test_a_test_passed_in_between_counts_anew(contest):
    worker = enlist(contest)
    lose(worker, contest)
    assert put_through(worker, contest).passed
    lose(worker, contest)
    assert worker.drained is None
