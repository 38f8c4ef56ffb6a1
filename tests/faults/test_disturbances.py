"""Engines that misbehave, second copies of everything, clocks that jump, full disks, damaged files."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.faults.member import send
from tests.faults.stages import enter_and_reach

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
FLOOD_BYTES = 200_000_000
SMALL = 'mount -t tmpfs -o size={size} none {folder} && exec "$@"'


@pytest.mark.parametrize(
    "knobs",
    [
        {"hang_after": 5},
        {"crash_after": 5},
        {"allocate_bytes": 600_000_000},
        {"exit_at_start": 137},
        {"huge": 50_000_000},
    ],
    ids=["hangs", "crashes", "runs out of memory", "is killed at the start", "answers too much"],
)
def test_engine(rig, knobs):
    for name in rig.workers:
        rig.set_knobs(name, **knobs)
    entry = rig.enter()
    rig.wait_until(lambda: rig.evaluation(entry).faults)
    for name in rig.workers:
        rig.set_knobs(name)
    rig.wait_scored(entry)


def test_engine_floods_its_log(rig):
    for name in rig.workers:
        rig.set_knobs(name, flood_bytes=FLOOD_BYTES)
    rig.wait_scored(rig.enter())
    written = sum(file.stat().st_size for file in rig.home.rglob("*") if file.is_file())
    assert written < FLOOD_BYTES


def test_engine_is_frozen(rig):
    import signal

    entry, name = enter_and_reach(rig, "speed")
    send(rig.members[name].find("engine_stub.py", "/candidate/"), signal.SIGSTOP)
    rig.wait_scored(entry)


def test_two_of_each_site_worker(rig):
    """Two beats, two check workers, and sweepers in each."""
    with (
        rig.another("site-worker", rig.queue("site", "second-site", "--beat")),
        rig.another("check-worker", rig.queue("checks", "second-checks")),
        rig.another("sweeper", ["django", "sweep", "--every", "1"]),
    ):
        for entry in [rig.enter() for _ in range(3)]:
            assert rig.wait_scored(entry).check_attempts == 1


def test_two_workers_with_one_name_and_scratch(rig):
    name = rig.workers[0]
    with rig.another(name, [*rig.members[name].command]):
        for entry in [rig.enter() for _ in range(2)]:
            rig.wait_scored(entry)


def test_two_workers_with_one_token_and_a_scratch_each(rig, tmp_path):
    name = rig.workers[0]
    scratch = rig.new_scratch()
    with rig.another(name, [*rig.members[name].command], GRADER_SCRATCH=str(scratch)):
        for entry in [rig.enter() for _ in range(2)]:
            rig.wait_scored(entry)


LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def faked(clock: Path) -> dict[str, str]:
    """The environment of a process whose wall clock is off by what the file says, at any moment."""
    assert LIBFAKETIME, "libfaketime is missing (apt install faketime)"
    return {
        "LD_PRELOAD": str(LIBFAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@pytest.mark.parametrize("jump", ["+3600", "-3600"], ids=["forward", "back"])
@pytest.mark.parametrize("part", ["gpu", "site-worker", "site"])
def test_clock_jumps_by_an_hour_in_mid_grade(rig, part, jump, tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("+0")
    names = rig.workers if part == "gpu" else [part]
    for name in names:
        rig.restart(name, **faked(clock))
    rig.wait_until(rig.site_answers)
    entry, _ = enter_and_reach(rig, "speed")
    clock.write_text(jump)
    try:
        rig.wait_scored(entry)
    finally:
        for name in names:
            rig.restart(name)
        rig.wait_until(rig.site_answers)


def small_disk(folder: Path, size: str) -> list[str]:
    """A prefix for a command that sees ``folder`` as a full file system."""
    folder.mkdir(parents=True, exist_ok=True)
    shell = SMALL.format(size=size, folder=folder)
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", shell, "sh"]


def test_disk_is_full_at_an_upload(rig):
    rig.restart("site", prefix=small_disk(rig.home / "site" / "incoming", "1m"))
    rig.wait_until(rig.site_answers)
    team = rig.team()
    try:
        with pytest.raises(httpx.HTTPStatusError) as refused:
            rig.enter(team)
    finally:
        rig.restart("site")
    assert refused.value.response.status_code == 507
    rig.wait_until(rig.site_answers)
    rig.wait_scored(rig.enter(team))


def test_disk_is_full_at_a_check(rig):
    rig.restart("check-worker", prefix=small_disk(rig.home / "site" / "scratch", "1m"))
    entry = rig.enter()
    rig.wait_until(lambda: "SYS_DISK_FULL" in rig.members["check-worker"].said())
    rig.restart("check-worker")
    rig.minute_passes(entry)
    rig.wait_scored(entry)


@pytest.mark.parametrize("size", ["1m", "8m"], ids=["download", "rebuild"])
def test_disk_is_full_on_a_worker(rig, size):
    for name in rig.workers:
        rig.restart(name, prefix=small_disk(rig.scratch(name), size))
    entry = rig.enter()
    rig.wait_until(lambda: rig.evaluation(entry).faults)
    for name in rig.workers:
        rig.restart(name)
    rig.wait_scored(entry)


def test_checkpoint_is_damaged_in_the_scratch(rig):
    entry, name = enter_and_reach(rig, "fetch")
    rig.roads[name].release()
    scratch = rig.scratch(name)

    def damage():
        for file in scratch.glob("g-*/model/model.safetensors"):
            data = bytearray(file.read_bytes())
            if len(data) > 1000:
                data[-100] ^= 1
                file.chmod(0o600)
                file.write_bytes(data)
                return True
        return False

    rig.wait_until(damage)
    rig.wait_scored(entry)


def test_archive_is_damaged_and_repaired(rig):
    entry, name = enter_and_reach(rig, "fetch")
    from leaderboard.models import Submission

    key = Submission.objects.get(pk=entry.submission).archive
    file = rig.home / "site" / "uploads" / key
    whole = file.read_bytes()
    file.write_bytes(whole[:-1000] + bytes(1000))
    rig.roads[name].release()
    rig.wait_until(lambda: rig.evaluation(entry).faults)
    file.write_bytes(whole)
    rig.wait_scored(entry)


def test_what_a_worker_keeps_is_damaged(rig):
    """Its note of the job it holds, and the stored answers of the base model."""
    entry, name = enter_and_reach(rig, "speed")
    rig.members[name].power_cut()
    (rig.scratch(name) / "held.json").write_text('{"evaluation": ')
    for worker in rig.workers:
        for file in (rig.home / "cache" / worker).rglob("*.json"):
            file.write_text("}{")
    rig.members[name].start()
    rig.wait_scored(entry)


def test_token_is_revoked_in_mid_grade(rig):
    from leaderboard import workers
    from leaderboard.models import Worker

    entry, name = enter_and_reach(rig, "speed")
    row = Worker.objects.get(name=name)
    token = workers.renew(row, by="test")  # the old one is void from here on
    try:
        rig.wait_scored(entry)
    finally:
        rig.members[name].environment["GRADER_TOKEN"] = token
        rig.restart(name)


def test_worker_is_drained_and_resumed_in_mid_grade(rig):
    from leaderboard import workers
    from leaderboard.models import Worker

    entry, name = enter_and_reach(rig, "speed")
    row = Worker.objects.get(name=name)
    workers.drain(row, "maintenance", by="test")
    try:
        rig.wait_scored(entry)
    finally:
        row.refresh_from_db()
        workers.resume(row, by="test", reason="done")


def test_uploads_break_off(rig):
    """Of ten senders that hang up in mid-upload nothing stays, and nothing counts."""
    team = rig.team()
    road = rig.roads["site"]
    for _ in range(10):
        road.set_trap(b"/submissions ")
        with pytest.raises(httpx.TransportError):
            _hang_up_when_trapped(rig, team)
    rig.heal()
    rig.wait_scored(rig.enter(team))


def _hang_up_when_trapped(rig, team):
    import threading

    road = rig.roads["site"]

    def hang_up():
        road.trapped.wait(60)
        road.release(drop=True)

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        rig.enter(team)
    finally:
        thread.join()


def test_worker_in_a_network_of_its_own_is_unplugged(rig):
    """Packets vanish between two network namespaces, in mid-grade, for longer than a lease."""
    from tests.faults.namespace import Cable

    name, other = rig.workers
    rig.members[other].freeze()
    with Cable() as cable:
        road = rig.open_road(cable.host)
        url = f"http://{cable.host}:{road.port}"
        rig.restart(
            name, prefix=cable.prefix, GRADER_SITE_URL=url, REDIS_URL="redis://127.0.0.1:1/0"
        )
        entry = rig.enter()
        rig.wait_until(lambda: rig.grading(entry, "quality", "speed") == name)
        cable.unplug()
        rig.wait_until(lambda: rig.evaluation(entry).faults)
        cable.plug()
        assert rig.wait_scored(entry).worker.name == name
        rig.members[name].power_cut()
    rig.restart(name)
