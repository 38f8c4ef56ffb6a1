"""``kill -9`` of each process at each stage of a grade."""

from __future__ import annotations

import signal

import pytest

from tests.faults.member import send
from tests.faults.stages import STAGES, WITH_ENGINES, being_checked, enter_and_reach

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]


def _polling(member):
    return [one for one in member.find("grader.worker.polling") if one.ppid() == member.pid]


def _grading(member):
    (loop,) = _polling(member)
    return [one for one in loop.children() if "grader.worker.polling" in " ".join(one.cmdline())]


def _keepers(member):
    return member.find("keeper.py")


def _engine(role):
    def find(member):
        found = member.find("engine_stub.py", f"/{role}/")
        return [one for one in found if "keeper.py" not in " ".join(one.cmdline())]

    return find


def _pool(member):
    """The children of a Celery worker's own: neither beat nor a companion."""
    named = [*member.find("--parent"), *member.find("celery beat")]
    return [one for one in member.family()[1:] if one.ppid() == member.pid and one not in named]


OF_WORKER = {"polling loop": _polling, "grading process": _grading, "pool child": _pool}
OF_ENGINE = {"keeper": _keepers, "candidate": _engine("candidate"), "base": _engine("base")}


def kill(found):
    assert found, "there is no such process"
    send(found, signal.SIGKILL)


@pytest.mark.parametrize("stage", STAGES)
def test_gpu_box_loses_power(rig, stage):
    entry, name = enter_and_reach(rig, stage)
    rig.members[name].power_cut()
    rig.roads[name].release(drop=True)
    row = rig.wait_scored(entry)
    assert row.attempt >= 2


@pytest.mark.parametrize("stage", STAGES)
def test_gpu_worker_main_process_is_killed(rig, stage):
    entry, name = enter_and_reach(rig, stage)
    rig.members[name].kill()
    rig.roads[name].release(drop=True)
    rig.members[name].start()  # as systemd does; it returns what its predecessor held
    assert rig.wait_scored(entry).attempt >= 2


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("process", OF_WORKER)
def test_gpu_worker_loses(rig, process, stage):
    entry, name = enter_and_reach(rig, stage)
    kill(OF_WORKER[process](rig.members[name]))
    rig.roads[name].release(drop=process != "pool child")
    rig.wait_scored(entry)


@pytest.mark.parametrize("stage", WITH_ENGINES)
@pytest.mark.parametrize("process", OF_ENGINE)
def test_engine_loses(rig, process, stage):
    entry, name = enter_and_reach(rig, stage)
    kill(OF_ENGINE[process](rig.members[name]))
    rig.wait_scored(entry)


@pytest.mark.parametrize("stage", STAGES)
def test_web_server_is_killed(rig, stage):
    entry, name = enter_and_reach(rig, stage)
    rig.members["site"].power_cut()
    rig.roads[name].release()
    rig.members["site"].start()
    rig.wait_scored(entry)


@pytest.mark.parametrize("part", ["main", "pool child", "checking process"])
def test_check_worker_loses(rig, part):
    member = rig.members["check-worker"]
    entry = rig.enter()
    rig.wait_until(lambda: being_checked(rig, entry))
    if part == "main":
        member.kill()
        member.start()
    elif part == "pool child":
        kill(_pool(member))
    else:
        send(member.find("grader.checkpoint.child"), signal.SIGKILL)
    rig.minute_passes(entry)
    rig.wait_scored(entry)


@pytest.mark.parametrize("part", ["main", "pool child", "beat", "companion"])
def test_site_worker_loses(rig, part):
    member = rig.members["site-worker"]
    entry, _ = enter_and_reach(rig, "quality")
    if part == "main":
        member.kill()
        member.start()
    elif part == "pool child":
        kill(_pool(member))
    else:
        kill(member.find("celery beat" if part == "beat" else "sweep"))
    rig.wait_scored(entry)


def test_every_sweeper_is_killed(rig):
    entry, name = enter_and_reach(rig, "quality")
    rig.members["sweeper"].kill()
    for site in ("site-worker", "check-worker"):
        rig.members[site].power_cut()
    rig.members[name].power_cut()  # what it held is returned when the other one asks
    rig.wait_scored(entry)


def test_everything_loses_power(rig):
    entry, _ = enter_and_reach(rig, "speed")
    for member in rig.members.values():
        member.power_cut()
    rig.postgres.crash()
    rig.broker.stop()
    rig.heal()
    rig.wait_scored(entry)
