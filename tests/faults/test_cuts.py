"""Connections and servers that go away in the middle of a grade: site, database, broker, network."""

from __future__ import annotations

import threading
import time

import httpx
import pytest
from celery import Celery

from tests.faults.member import send
from tests.faults.rig import LEASE_S
from tests.faults.stages import REQUESTS, being_checked, enter_and_reach

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
LONGER_THAN_A_LEASE_S = 2 * LEASE_S


@pytest.mark.parametrize("stage", ["fetch", "quality", "report"])
def test_postgresql_crashes(rig, stage):
    entry, name = enter_and_reach(rig, stage)
    rig.postgres.crash()
    rig.roads[name].release()
    time.sleep(2)
    rig.postgres.start()
    rig.wait_scored(entry)


def test_postgresql_crashes_during_a_check(rig):
    entry = rig.enter()
    rig.wait_until(lambda: being_checked(rig, entry))
    rig.postgres.crash()
    time.sleep(2)
    rig.postgres.start()
    rig.wait_until(lambda: rig.minute_passes(entry) is None)
    rig.wait_scored(entry)


def test_postgresql_is_away_for_longer_than_a_lease(rig):
    entry, _ = enter_and_reach(rig, "speed")
    rig.postgres.crash()
    time.sleep(LONGER_THAN_A_LEASE_S)
    rig.postgres.start()
    rig.wait_scored(entry)


@pytest.mark.parametrize("how", ["cut", "refuse"])
def test_database_is_out_of_reach_in_mid_report(rig, how):
    entry, name = enter_and_reach(rig, "report")
    getattr(rig.roads["database"], how)()
    rig.roads[name].release()
    time.sleep(3)
    rig.roads["database"].heal()
    rig.wait_scored(entry)


def test_database_hangs_up_again_and_again(rig):
    entry, _ = enter_and_reach(rig, "speed")
    for _ in range(5):
        rig.roads["database"].hang_up()
        time.sleep(0.5)
    rig.wait_scored(entry)


@pytest.mark.parametrize("stage", ["fetch", "speed"])
def test_broker_restarts(rig, stage):
    entry, name = enter_and_reach(rig, stage)
    rig.broker.stop()
    rig.roads[name].release()
    time.sleep(2)
    rig.broker.start()
    rig.wait_scored(entry)


def test_broker_is_flushed_with_work_in_it(rig):
    entries = [rig.enter() for _ in range(3)]
    rig.broker.flush()
    for entry in entries:
        rig.wait_scored(entry)


@pytest.mark.parametrize("how", ["cut", "refuse", "hang_up"])
def test_broker_is_out_of_reach(rig, how):
    getattr(rig.roads["broker"], how)()
    entry = rig.enter()
    time.sleep(3)
    rig.roads["broker"].heal()
    rig.wait_scored(entry)


def test_doorbells_ring_a_hundred_times(rig):
    entry = rig.enter()
    pk = rig.evaluation(entry).pk
    with Celery(broker=rig.broker_url).connection_for_write() as connection:
        app = Celery(broker=rig.broker_url)
        for _ in range(100):
            app.send_task("leaderboard.check", [pk], queue="checks", connection=connection)
            app.send_task("grader.ring", queue="gpu", connection=connection)
            app.send_task("leaderboard.deliver", queue="site", connection=connection)
            app.send_task("leaderboard.sweep", queue="site", connection=connection)
    assert rig.wait_scored(entry).check_attempts == 1


@pytest.mark.parametrize("stage", ["fetch", "quality", "report"])
def test_worker_is_cut_off_for_a_moment(rig, stage):
    entry, name = enter_and_reach(rig, stage)
    rig.roads[name].cut()
    rig.roads[name].release()
    time.sleep(1)
    rig.roads[name].heal()
    rig.wait_scored(entry)


@pytest.mark.parametrize("stage", ["fetch", "quality", "report"])
def test_worker_is_cut_off_for_longer_than_its_lease(rig, stage):
    entry, name = enter_and_reach(rig, stage)
    rig.roads[name].cut()
    rig.roads[name].release()
    row = rig.wait_scored(entry)  # by the other one
    assert row.worker.name != name
    before = row.result.created
    rig.roads[name].heal()  # what it sent meanwhile arrives now
    time.sleep(3)
    assert rig.wait_scored(entry).result.created == before


@pytest.mark.parametrize("stage", ["fetch", "report"])
def test_worker_connections_are_half_open(rig, stage):
    """The site's end is gone, and nobody has told the worker's end."""
    entry, name = enter_and_reach(rig, stage)
    rig.members["site"].power_cut()
    rig.members["site"].start()
    rig.wait_until(rig.site_answers)
    rig.roads[name].release()
    rig.wait_scored(entry)


def test_answer_to_a_report_is_lost(rig):
    for name in rig.workers:
        rig.roads[name].set_trap(REQUESTS["report"], deaf=True)
    entry = rig.enter()
    rig.wait_scored(entry)
    for name in rig.workers:
        rig.roads[name].release(drop=True)  # it is sent again
    time.sleep(3)
    assert rig.wait_scored(entry).attempt == 1


def test_report_is_delivered_eight_times_at_once(rig):
    entry, name = enter_and_reach(rig, "report")
    request = rig.roads[name].taken
    url = f"http://127.0.0.1:{rig.site_port}"
    head, _, body = request.partition(b"\r\n\r\n")
    path = head.split()[1].decode()
    token = rig.members[name].environment["GRADER_TOKEN"]
    answers = []

    def deliver():
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answers.append(
            httpx.post(url + path, content=body, headers=headers, timeout=60).status_code
        )

    threads = [threading.Thread(target=deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    rig.roads[name].release()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8
    assert rig.wait_scored(entry).attempt == 1


def test_report_arrives_slowly(rig):
    entry, name = enter_and_reach(rig, "report")
    rig.roads[name].bytes_per_s = 20_000
    rig.roads[name].release()
    rig.wait_scored(entry)


@pytest.mark.parametrize("part", ["site", "check-worker", "site-worker", "gpu"])
def test_deployment_in_mid_grade(rig, part):
    entry, name = enter_and_reach(rig, "speed")
    member = rig.members[name if part == "gpu" else part]
    member.terminate()
    member.process.wait()
    member.start()
    rig.wait_scored(entry)


@pytest.mark.parametrize("part", ["site", "check-worker", "site-worker", "gpu"])
def test_frozen_for_longer_than_a_lease(rig, part):
    """SIGSTOP, and back when everybody else has given it up."""
    entry, name = enter_and_reach(rig, "speed")
    member = rig.members[name if part == "gpu" else part]
    member.freeze()
    time.sleep(LONGER_THAN_A_LEASE_S)
    member.thaw()
    row = rig.wait_scored(entry)
    assert part != "gpu" or row.attempt >= 2


def test_frozen_check_worker_wakes_up_after_another_has_checked(rig):
    member = rig.members["check-worker"]
    entry = rig.enter()
    rig.wait_until(lambda: being_checked(rig, entry))
    member.freeze()
    with rig.another("check-worker", rig.queue("checks", "second")):
        rig.minute_passes(entry)
        rig.wait_until(lambda: rig.evaluation(entry).is_checked)
        member.thaw()
        rig.wait_scored(entry)


def test_frozen_broker(rig):
    import signal

    broker = [rig.broker.process()]
    send(broker, signal.SIGSTOP)
    entry = rig.enter()
    time.sleep(3)
    send(broker, signal.SIGCONT)
    rig.wait_scored(entry)
