"""The A/A test on the worker: claimed like a grade, the base model on both engines, one final message."""

from __future__ import annotations

import pytest

from grader.protocol.documents import AAReport
from grader.protocol.worker import AAJob
from grader.schema import decode
from grader.scoring.aa import outcomes
from grader.worker import aa, run
from grader.worker.faults import Failed
from tests.grader.worker.conftest import make_contest
from tests.grader.worker.site_stub import SiteStub


@pytest.fixture
def small(monkeypatch):
    """Accept any noise on the test machine, which is not what is tested here."""
    monkeypatch.setattr(run, "load", lambda _: make_contest(max_half_width=10.0))


def stub_with_test():
    return SiteStub(test=AAJob(7, "demo", "0" * 64, lease_s=3.0, heartbeat_s=0.05))


def test_an_honest_worker_reports_a_ratio_of_one(small, worker):
    stub = stub_with_test()
    knobs = {"token_s": 0.004}
    assert run.run_pending(worker(base=knobs, candidate=knobs), stub.site()) == 1
    (body,) = stub.bodies("report")
    report = decode(AAReport, body)
    assert (report.contest, report.system.worker) == ("demo", "worker-1")
    assert [result.shape for result in report.speed] == ["latency", "throughput"]
    for outcome in outcomes(report):
        low, high = outcome.interval
        assert low < 1.2
        assert high > 0.8
    assert [stage.stage for stage in report.stages] == ["load", "speed"]


def test_both_engines_load_the_base_model(worker, monkeypatch):
    launched = []
    launch = aa.launch
    monkeypatch.setattr(
        aa, "launch", lambda models, *rest: launched.extend(models) or launch(models, *rest)
    )
    contest = make_contest(max_half_width=10.0)
    aa.measure(contest, worker())
    assert {model.folder for model in launched} == {contest.base_folder.resolve()}
    assert [model.role for model in launched] == ["base", "candidate"]


@pytest.mark.parametrize(
    ("knobs", "code"),
    [({"exit_at_start": 1}, "LOAD_ENGINE"), ({"crash_after": 9}, "SYS_ENGINE_DIED")],
)
def test_whatever_breaks_is_the_workers_fault(worker, knobs, code):
    with pytest.raises(Failed) as caught:
        aa.measure(make_contest(), worker(candidate=knobs))
    assert caught.value.problems[0].code == code


def test_a_broken_test_is_told_at_its_own_address(small, worker):
    stub = stub_with_test()
    run.run_pending(worker(candidate={"crash_after": 9}), stub.site())
    (body,) = stub.bodies("fail")
    assert body["problems"][0]["code"] == "SYS_ENGINE_DIED"
    assert stub.bodies("report") == []


def test_the_worker_says_what_it_can_do_and_a_restart_shows(worker, monkeypatch):
    from grader.worker.measure import system

    said = run.introduction(worker())
    assert said.device_name
    assert said.memory_bytes > 0
    assert said.compute_capability == 0.0
    assert said.boot == run.introduction(worker()).boot
    monkeypatch.setattr(system, "BOOT", "another start")
    assert run.introduction(worker()).boot != said.boot
