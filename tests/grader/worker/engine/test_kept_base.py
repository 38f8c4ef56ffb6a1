"""The base model's engine between grades: kept while it is what the next one needs, and no longer."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from grader.protocol.worker import DRAINED, NO_WORK_HEADER
from grader.worker import aa, run, workspace
from grader.worker.engine.kept_base import KeptBase
from grader.worker.engine.launch import launch
from grader.worker.faults import Cancellation, Failed
from grader.worker.grade import grade
from grader.worker.intake import base_model
from grader.worker.measure import system
from tests.grader.worker.conftest import make_contest, processes_naming, wait_until
from tests.grader.worker.site_stub import SiteStub
from tests.grader.worker.test_run import archive_of, one_end

ROOT = Path(__file__).parents[4]


@pytest.fixture
def kept(worker):
    with KeptBase(worker()) as kept:
        yield kept


def engines(settings, role="base"):
    """Processes of the stub that serve this role; not their keepers."""
    return {
        pid
        for pid in processes_naming(f"/{role}/engine.sock")
        if str(settings.scratch).encode() in (line := Path(f"/proc/{pid}/cmdline").read_bytes())
        and b"keeper.py" not in line
    }


def load(kept, settings, contest, folder=None):
    """What a grade does with its engines, without a question or a round."""
    base = base_model(contest, settings)
    base = dataclasses.replace(base, folder=folder or base.folder)
    models = base, dataclasses.replace(base, role="candidate")
    with (
        workspace.create(settings) as scratch,
        launch(models, contest, settings, scratch, "process", Cancellation(), kept),
    ):
        pass


def grade_once(kept, settings, contest, tell=lambda _: None):
    return grade(contest.base_folder, contest, settings, tell, kept=kept)


def test_it_is_started_once_and_the_candidates_each_time(kept, worker, contest):
    settings, seen = worker(), {"base": set(), "candidate": set()}

    def tell(progress):
        if progress.stage == "quality":
            for role, pids in seen.items():
                pids |= engines(settings, role)

    reports = [grade_once(kept, settings, contest, tell) for _ in range(2)]
    assert {role: len(pids) for role, pids in seen.items()} == {"base": 1, "candidate": 2}
    assert engines(settings) == seen["base"]
    assert engines(settings, "candidate") == set()
    first, second = reports
    assert first.memory == second.memory
    assert len(list(settings.scratch.glob("g-*"))) == 1
    kept.end()
    assert engines(settings) == set()
    assert list(settings.scratch.glob("g-*")) == []


def test_an_aa_test_uses_it_as_a_grade_does(kept, worker, contest):
    settings = worker()
    load(kept, settings, contest)
    before = engines(settings)
    aa.measure(contest, settings, kept=kept)
    assert engines(settings) == before


@pytest.mark.parametrize("change", ["contest", "engine", "files", "count", "hung", "dead"])
def test_another_takes_its_place(change, kept, worker, contest, monkeypatch, tmp_path):
    settings, copy = worker(), None
    load(kept, settings, contest)
    (before,) = engines(settings)
    load(kept, settings, contest)
    assert engines(settings) == {before}
    match change:
        case "contest":
            object.__setattr__(contest, "sha256", "1" * 64)
        case "engine":
            contest = make_contest()
            object.__setattr__(contest, "id", "other")
        case "files":
            copy = tmp_path / "base"
            shutil.copytree(contest.base_folder, copy)
            load(kept, settings, contest, copy)
            (before,) = engines(settings)
            os.utime(copy / "config.json")
        case "count":
            kept._settings = dataclasses.replace(settings, base_engine_grades=1)
        case "hung":
            monkeypatch.setattr("grader.worker.engine.server.HEALTH_S", 0.5)
            os.kill(before, signal.SIGSTOP)
        case "dead":
            os.kill(before, signal.SIGKILL)
    load(kept, settings, contest, copy)
    (after,) = engines(settings)
    assert after != before


def test_engines_in_turns_leave_it_no_place(kept, worker, contest):
    settings = worker()
    load(kept, settings, contest)
    load(kept, settings, make_contest(pairing="turns"))
    assert engines(settings) == set()


def test_none_is_kept_where_the_operator_does_not_want_it(kept, worker, contest):
    settings = worker(base_engine_grades=0)
    load(kept, settings, contest)
    assert engines(settings) == set()
    assert kept.idle_left_s == 0


def test_its_death_in_a_later_grade_is_our_fault(kept, worker, contest):
    settings = worker()
    load(kept, settings, contest)

    def tell(progress):
        if progress.stage == "speed":
            for pid in engines(settings):
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(Failed, match="SYS_ENGINE_DIED base"):
        grade_once(kept, settings, contest, tell)
    load(kept, settings, contest)  # on a new one


def test_a_gpu_holds_nothing_but_the_kept_engine(kept, worker, contest, monkeypatch):
    """Before the candidate starts, only what the base model's engine has brought may compute there."""
    settings, found = worker(), []
    monkeypatch.setattr(system, "gpu_processes", lambda *_: frozenset({4711}))
    monkeypatch.setattr(system, "require_free_gpus", lambda *told: found.append(told[2:]))
    for _ in range(2):
        load(kept, settings, contest)
    assert found == [(frozenset(),), (frozenset({4711}),)]


@pytest.fixture
def rounds(monkeypatch, worker):
    """``rounds(jobs, wait)``: what the worker does with two jobs, and what was up when it waited."""
    monkeypatch.setattr(run, "load", lambda _: make_contest())

    def start(settings, waits, **headers):
        stub = SiteStub(archive_of(make_contest().base_folder))
        up = []

        def wait(limit_s):
            up.append((len(engines(settings)), limit_s))
            waits(stub, len(up))

        stub.no_work = headers
        assert run.run_pending(settings, stub.site(), stop=lambda: len(up) >= 3, wait=wait) >= 1
        assert engines(settings) == set()
        return stub, up

    return start


def test_it_waits_for_new_work_and_goes_when_the_worker_ends(rounds, worker):
    settings = worker(base_engine_idle_s=1000.0)

    def waits(stub, times):
        if times == 1:
            stub.jobs = [stub.job]

    stub, up = rounds(settings, waits)
    assert [count for count, _ in up] == [1, 1, 1]
    assert all(0 < limit_s <= 1000 for _, limit_s in up)
    assert len(stub.bodies("report")) == 2


def test_it_goes_when_nothing_comes(rounds, worker):
    stub, up = rounds(worker(base_engine_idle_s=0.0), lambda *_: None)
    assert up == []
    assert one_end(stub)[0] == "report"


def test_it_goes_when_the_worker_is_drained(rounds, worker):
    said = {NO_WORK_HEADER: f"{DRAINED}for the night"}
    assert rounds(worker(), lambda *_: None, **said)[1] == []


def test_a_site_that_is_away_for_a_moment_costs_no_engine(rounds, worker):
    def waits(stub, times):
        stub.status["claim"] = [500]

    assert [count for count, _ in rounds(worker(), waits)[1]] == [1, 1, 1]


SCRIPT = """
import signal, sys
from pathlib import Path
from grader.worker.engine.kept_base import KeptBase
from grader.worker.settings import Settings
from tests.grader.worker.conftest import make_contest
from tests.grader.worker.engine.test_kept_base import load
settings = Settings(scratch=Path(sys.argv[1]), sandbox="process", engine=tuple(sys.argv[2:]))
kept = KeptBase(settings)
load(kept, settings, make_contest())
print("up", flush=True)
signal.pause()
"""


def test_kill_9_of_the_worker_takes_it_along(worker):
    settings = worker()
    command = [sys.executable, "-c", SCRIPT, str(settings.scratch), *settings.engine]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout.readline() == b"up\n"
        assert len(engines(settings)) == 1
        process.kill()
    assert wait_until(lambda: engines(settings) == set())
