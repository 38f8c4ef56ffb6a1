"""Workers on the site: drained, resumed, retired, and chosen by their capabilities."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import translation

from grader.contest import Hardware
from grader.problems.catalogue import Problem
from grader.protocol.worker import Introduction
from leaderboard import lifecycle, workers
from leaderboard.models import Attempt, ContestVersion, Evaluation, Worker
from leaderboard.models.worker import LOST_AFTER
from leaderboard.operations import doctor
from leaderboard.workers import queue
from leaderboard.workers.eligibility import obstacles
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


def enlist(contest, name="gpu-1", **said):
    """A worker that has just polled."""
    introduction = {"worker": name, "device": "cpu", "sandbox": "namespace", "boot": "first"} | said
    introduction.setdefault("contests", {contest.slug: contest.version.sha256})
    return workers.introduce(factories.worker(name=name), Introduction(**introduction))


def waiting(contest):
    return factories.checked(evaluation=factories.submission(contest=contest))


def state(name="gpu-1"):
    return next(v.state for v in workers.overview() if v.worker.name == name)


def test_states_follow_from_the_row_and_the_clock(contest):
    worker = enlist(contest)
    assert state() == "idle"
    waiting(contest)
    job = workers.claim(worker).job
    assert state() == "busy"
    assert workers.drain(worker, "fan is loud", by="mina")
    assert state() == "draining"
    lifecycle.record(job.evaluation, job.attempt, factories.report(contest=contest))
    assert state() == "drained"
    assert workers.resume(worker, by="mina")
    assert state() == "idle"
    Worker.objects.update(last_seen=Now() - timedelta(minutes=3))
    assert state() == "lost"
    assert workers.retire(worker, by="mina")
    assert workers.overview() == []
    assert [v.state for v in workers.overview(retired=True)] == ["retired"]


def test_drained_worker_finishes_its_grade_and_gets_no_new_one(contest):
    worker = enlist(contest)
    first, second = waiting(contest), waiting(contest)
    job = workers.claim(worker).job
    assert job.evaluation == first.pk
    workers.drain(worker, "new driver", by="mina")
    lifecycle.record(job.evaluation, job.attempt, factories.report(contest=contest))
    worker.refresh_from_db()
    offer = workers.claim(worker)
    assert offer.job is None
    assert offer.reason == "drained: new driver"
    workers.resume(worker, by="mina")
    assert workers.claim(Worker.objects.get()).job.evaluation == second.pk


def test_verbs_that_change_nothing_say_so(contest):
    worker = enlist(contest)
    assert not workers.resume(worker, by="mina")
    assert workers.drain(worker, "once", by="mina")
    assert not workers.drain(worker, "twice", by="mina")
    assert workers.retire(worker, by="mina")
    assert not workers.retire(worker, by="mina")
    assert not workers.resume(worker, by="mina")


def test_retired_workers_token_opens_nothing_and_its_name_is_free_again(client, contest):
    worker, token = workers.register("gpu-9", by="mina")

    def knock():
        body = json.dumps({"worker": "gpu-9", "device": "cpu", "contests": {}})
        headers = {"Authorization": f"Bearer {token}"}
        return client.post(
            "/api/worker/claim", body, content_type="application/json", headers=headers
        ).status_code

    assert knock() == 204
    workers.retire(worker, by="mina")
    assert knock() == 401
    workers.register("gpu-9", by="mina")


def test_name_is_taken_while_its_worker_lives():
    workers.register("gpu-9", by="mina")
    with pytest.raises(workers.NameTaken):
        workers.register("gpu-9", by="mina")
    with pytest.raises(CommandError, match="already registered"):
        call_command("addworker", "gpu-9")


def test_renewed_token_replaces_the_old_one(capsys):
    worker, old = workers.register("gpu-9", by="mina")
    call_command("addworker", "gpu-9", "--renew")
    new = capsys.readouterr().out.strip()
    digests = set(Worker.objects.values_list("digest", flat=True))
    assert digests == {Worker.digest_of(new)}
    assert Worker.digest_of(old) not in digests


@pytest.mark.parametrize(
    ("said", "hardware", "expected"),
    [
        ({}, Hardware("any"), 0),
        ({"device": "cpu"}, Hardware("L4", devices=("cuda",)), 1),
        ({"device": "cuda", "device_name": "NVIDIA L4"}, Hardware("L4", gpus=("L4",)), 0),
        ({"device": "cuda", "device_name": "NVIDIA L40S"}, Hardware("L4", gpus=("L4",)), 1),
        ({"device_name": "NVIDIA A100-SXM4-40GB"}, Hardware("", gpus=("L4", "a100")), 0),
        ({"sandbox": "process"}, Hardware("", sandbox="namespace"), 1),
        ({"sandbox": "unheard of"}, Hardware("", sandbox="process"), 1),
        ({"device": "cpu", "sandbox": "none"}, Hardware("", devices=("cuda",), gpus=("L4",)), 3),
    ],
)
def test_contest_chooses_which_workers_may_grade(contest, said, hardware, expected):
    assert len(obstacles(enlist(contest, **said), hardware)) == expected


def over_gpus(contest, n):
    """The same contest with engines spread over ``n`` GPUs."""
    source = contest.version.source.replace("[engine]", f"[engine]\ntensor_parallel = {n}")
    ContestVersion.objects.update(source=source)
    return type(contest).objects.get()


@pytest.mark.parametrize(
    ("said", "is_enough"),
    [({}, False), ({"gpu_count": 0}, False), ({"gpu_count": 2}, True), ({"gpu_count": 8}, True)],
)
def test_engines_spread_over_gpus_go_to_workers_that_have_them(contest, said, is_enough):
    waiting(contest)
    contest = over_gpus(contest, 2)
    offer = workers.claim(enlist(contest, **said))
    assert bool(offer.job) is is_enough
    if not is_enough:
        count = said.get("gpu_count", 1)  # a worker of an older release does not say
        assert offer.reason == f"demo: has {count} GPUs, the engines need 2"


def test_forecast_counts_only_workers_that_may_grade(client, contest):
    waiting(contest)
    contest = over_gpus(contest, 2)
    enlist(contest)
    none_can = "no worker can grade this contest right now"
    assert queue.queue(contest).workers == 0
    assert (
        none_can
        in client.get(
            reverse("queue", args=[contest.slug]), headers={"Accept-Language": "en"}
        ).content.decode()
    )
    with translation.override("en"):
        findings = [f for f in doctor.contests() if f.level == "error"]
    assert [f.text for f in findings] == ["the active worker cannot grade demo"]
    enlist(contest, "gpu-2", gpu_count=2)
    assert queue.queue(contest).workers == 1
    assert not [f for f in doctor.contests() if f.level == "error"]


def test_worker_that_may_not_grade_gets_nothing_and_hears_why(client, contest):
    waiting(contest)
    _, token = workers.register("weak", by="mina")
    body = {"worker": "weak", "device": "cpu", "sandbox": "none"}
    body["contests"] = {contest.slug: contest.version.sha256}
    response = client.post(
        "/api/worker/claim",
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert response.status_code == 204
    assert response["X-No-Work"] == "demo: sandbox is none, at least process is needed"
    assert workers.overview()[0].reasons.keys() == {contest.slug}


def test_worker_with_another_contest_file_hears_both_versions(contest):
    offer = workers.claim(enlist(contest, contests={contest.slug: "f" * 64}))
    assert "has another version of the contest file: ffffffffffff" in offer.reason
    assert contest.version.sha256[:12] in offer.reason


def test_an_older_file_that_measures_the_same_is_no_obstacle(contest):
    """Only weights were changed: no worker needs the new file to grade under it."""
    version = contest.version
    ContestVersion.objects.create(
        contest=contest, sha256="f" * 64, source=version.source, folder=version.folder
    )
    worker = enlist(contest, contests={contest.slug: "f" * 64})
    assert "another version" in workers.claim(worker).reason
    ContestVersion.objects.update(grading_sha256="2" * 64)
    assert workers.claim(worker).reason == ""


def test_restart_is_noticed_by_the_boot_number(contest):
    first = enlist(contest).booted
    assert enlist(contest).booted == first
    assert enlist(contest, boot="second").booted > first


def fail(job, code="SYS_NOISY", where=""):
    lifecycle.fail(job.evaluation, job.attempt, [Problem(code, where, "exit code 3")], "tail")
    Evaluation.objects.update(not_before=Now())  # the pause is over


def test_what_broke_on_one_worker_goes_to_another_first(contest):
    first, second = enlist(contest, "gpu-1"), enlist(contest, "gpu-2")
    waiting(contest)
    fail(workers.claim(first).job)
    assert workers.claim(first).job is None
    assert workers.claim(second).job.attempt == 2


def test_what_broke_waits_for_nobody_when_there_is_no_other_worker(contest):
    first = enlist(contest, "gpu-1")
    drained = enlist(contest, "gpu-2")
    workers.drain(drained, "x", by="mina")
    enlist(contest, "gpu-3", sandbox="none")
    waiting(contest)
    fail(workers.claim(first).job)
    assert workers.claim(first).job.attempt == 2


def test_what_broke_does_not_wait_for_ever(contest):
    first = enlist(contest, "gpu-1")
    enlist(contest, "gpu-2")
    waiting(contest)
    fail(workers.claim(first).job)
    Attempt.objects.update(ended=Now() - timedelta(minutes=6))
    assert workers.claim(first).job.attempt == 2


def test_engine_that_dies_twice_on_a_checkpoint_is_a_crash_for_people_to_look_at(contest):
    first, second = enlist(contest, "gpu-1"), enlist(contest, "gpu-2")
    evaluation = waiting(contest)
    fail(workers.claim(first).job, "SYS_ENGINE_DIED", "candidate")
    fail(workers.claim(second).job, "SYS_ENGINE_DIED", "candidate")
    evaluation.refresh_from_db()
    assert evaluation.status == Evaluation.Status.REJECTED
    assert evaluation.problems == [
        {"code": "RUN_CRASH", "where": "", "detail": "attempts 1, 2: exit code 3"}
    ]
    from django.core.files.storage import default_storage

    assert default_storage.exists(evaluation.submission.archive)  # evidence


@pytest.mark.parametrize(
    ("code", "where"), [("SYS_ENGINE_DIED", "base"), ("SYS_NOISY", ""), ("SYS_WORKER_LOST", "")]
)
def test_other_faults_are_never_held_against_the_checkpoint(contest, code, where):
    worker = enlist(contest)
    evaluation = waiting(contest)
    fail(workers.claim(worker).job, code, where)
    fail(workers.claim(worker).job, code, where)
    evaluation.refresh_from_db()
    assert evaluation.status == Evaluation.Status.QUEUED


def test_share_of_the_day_counts_what_lies_within_it(contest):
    worker = enlist(contest)
    evaluation = waiting(contest)
    workers.claim(worker)
    Attempt.objects.filter(evaluation=evaluation).update(started=Now() - timedelta(hours=30))
    assert workers.overview()[0].busy_share == pytest.approx(1.0, abs=1e-3)
    Attempt.objects.filter(evaluation=evaluation).update(
        started=Now() - timedelta(hours=12), ended=Now() - timedelta(hours=6), outcome="scored"
    )
    assert workers.overview()[0].busy_share == pytest.approx(0.25, abs=1e-3)


def test_overview_takes_as_many_queries_for_ten_workers_as_for_one(
    contest, django_assert_num_queries
):
    enlist(contest)
    with django_assert_num_queries(6) as first:
        workers.overview()
    for n in range(9):
        enlist(contest, f"more-{n}")
    with django_assert_num_queries(len(first)):
        assert len(workers.overview()) == 10


def test_command_lists_and_acts(contest, capsys):
    enlist(contest)
    call_command("workers", "drain", "gpu-1", "--why", "loud fan", "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["state"], row["drain_reason"]) == ("gpu-1", "drained", "loud fan")
    call_command("workers", "resume", "gpu-1")
    assert "gpu-1: idle" in capsys.readouterr().out
    with pytest.raises(CommandError, match="not drained"):
        call_command("workers", "resume", "gpu-1")
    with pytest.raises(CommandError, match="registered: gpu-1"):
        call_command("workers", "drain", "gpu-7")
    call_command("workers", "retire", "gpu-1")
    call_command("workers")
    assert "gpu-1:" not in capsys.readouterr().out


def test_admin_drains_only_for_those_who_may_change_workers(client, contest):
    worker = enlist(contest)
    form = {"action": "drain", "_selected_action": [worker.pk]}
    watcher = factories.user(name="watcher")
    watcher.is_staff = True
    watcher.save()
    client.force_login(watcher)
    assert client.post("/admin/leaderboard/worker/", form).status_code == 403
    client.force_login(factories.user(is_staff=True))
    assert client.post("/admin/leaderboard/worker/", form).status_code == 302
    assert state() == "drained"


def test_a_drained_worker_shortens_nobodys_wait_though_it_is_heard_of(contest):
    enlist(contest, "gpu-1")
    second = enlist(contest, "gpu-2")
    factories.scored(contest=contest)
    for _ in range(4):
        waiting(contest)
    both = queue.queue(contest)
    assert both.workers == 2
    assert workers.drain(second, "fan is loud", by="mina")
    assert workers.claim(enlist(contest, "gpu-2")).job is None  # it keeps polling
    one = queue.queue(contest)
    assert one.workers == 1
    assert one.wait_s(5) == 2 * both.wait_s(5)
    assert workers.retire(enlist(contest, "gpu-1"), by="mina")
    assert queue.queue(contest).wait_s(1) is None  # nobody accepts work


@pytest.mark.parametrize(
    ("seconds", "alive"), [(LOST_AFTER.total_seconds() - 30, True), (150, False)]
)
def test_forecast_dispatch_dashboard_and_doctor_agree_on_who_is_alive(contest, seconds, alive):
    enlist(contest)
    Worker.objects.update(last_seen=Now() - timedelta(seconds=seconds))
    assert Worker.objects.alive().exists() is alive
    assert (queue.queue(contest).workers == 1) is alive
    assert (state() == "lost") is not alive
    with translation.override("en"):
        (finding,) = doctor.workers()
    assert ("Check that machine" in str(finding.hint)) is not alive
