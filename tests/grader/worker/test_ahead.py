"""The next entry, fetched and checked while another is graded: used if it is what the claim brings."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from types import SimpleNamespace

import pytest

from grader.problems.catalogue import Stage
from grader.protocol.documents import Progress
from grader.protocol.worker import NextEntry
from grader.worker import ahead as module
from grader.worker import intake, run
from grader.worker.ahead import Ahead
from grader.worker.clock import Clock
from grader.worker.faults import Cancellation, Rejected, rejected
from grader.worker.intake import Checked
from grader.worker.sandbox import box
from tests.grader.worker.conftest import make_contest, wait_until
from tests.grader.worker.site_stub import SiteStub
from tests.grader.worker.test_run import archive_of

pytestmark = pytest.mark.skipif(
    bool(box.why_not("network")), reason="unshare does not work on this machine"
)


def entry_of(job):
    facts = {field.name: getattr(job, field.name) for field in dataclasses.fields(NextEntry)}
    return NextEntry(**facts | {"archive_url": f"/api/worker/next/{job.submission}/archive"})


@pytest.fixture
def stub():
    stub = SiteStub(archive_of(make_contest().base_folder))
    stub.upcoming = entry_of(stub.job)
    return stub


@pytest.fixture
def start(stub, worker):
    """``start(**fields)``: works ahead for a worker with these settings."""
    opened = []

    def make(**fields):
        settings = worker(**{"sandbox": "network"} | fields)
        introduction = functools.partial(run.introduction, settings)
        opened.append(Ahead(stub.site(), settings, introduction, lambda _: make_contest()))
        return opened[-1]

    yield make
    for one in opened:
        one.__exit__(None, None, None)


def work(ahead):
    """What happens in a grade up to its last question."""
    ahead.follow(Stage.FETCH)
    ahead.follow(Stage.LOAD)
    thread, _ = ahead._work
    ahead.follow(Stage.QUALITY)
    thread.join(60)
    assert not thread.is_alive()


def folders(scratch):
    return list((scratch / "s").glob("g-*"))


def test_what_is_ready_is_used_and_then_removed(stub, start, scratch):
    ahead = start()
    work(ahead)
    ahead.follow(Stage.SPEED)
    assert [name for name, _ in stub.calls] == ["next", "archive"]
    with ahead.taken(stub.job) as found:
        assert isinstance(found, Checked)
        assert not (found.model.folder.parent / "source").exists()  # space for the next grade
        again = intake.prepare(found, scratch, make_contest(), Clock(print, Cancellation()))
        assert again is found
        intake.require_unchanged(found.model, found.facts, make_contest())
    assert folders(scratch) == []
    with ahead.taken(stub.job) as found:
        assert found is None


@pytest.mark.parametrize(
    "other", [{"archive_sha256": "1" * 64}, {"contest_sha256": "1" * 64}, {"contest": "other"}]
)
def test_another_claim_gets_nothing_and_it_stays_ready_for_its_own(stub, start, other):
    ahead = start()
    work(ahead)
    with ahead.taken(dataclasses.replace(stub.job, **other)) as found:
        assert found is None
    work(ahead)
    assert len(stub.bodies("archive")) == 1  # it is still what comes next
    with ahead.taken(stub.job) as found:
        assert isinstance(found, Checked)


def test_what_is_no_longer_next_makes_room(stub, start, scratch):
    ahead = start()
    work(ahead)
    (before,) = folders(scratch)
    ahead._work = None
    stub.upcoming = dataclasses.replace(stub.upcoming, contest_sha256="1" * 64)
    work(ahead)
    (after,) = folders(scratch)
    assert after != before


def test_it_ends_before_speed_is_measured(stub, start, scratch, monkeypatch):
    begun = []

    def check(source, folder, contest, keep_going):
        begun.append(source)
        while True:
            keep_going()

    monkeypatch.setattr(intake, "check", check)
    ahead = start()
    ahead.follow(Stage.LOAD)
    thread, _ = ahead._work
    assert wait_until(lambda: begun != [])
    ahead.follow(Stage.SPEED)
    thread.join(20)
    assert not thread.is_alive()
    assert folders(scratch) == []
    ahead.follow(Stage.QUALITY)  # not again in this grade
    assert len(begun) == 1


def test_a_bad_archive_is_left_to_the_grade(stub, start, scratch):
    stub.archive = b"this is not an archive"
    bad = dataclasses.replace(
        stub.job,
        archive_bytes=len(stub.archive),
        archive_sha256=hashlib.sha256(stub.archive).hexdigest(),
    )
    stub.upcoming = entry_of(bad)
    ahead = start()
    work(ahead)
    with (
        ahead.taken(bad) as found,
        pytest.raises(Rejected, match="ARCHIVE_FORMAT"),
    ):
        intake.prepare(found, scratch, make_contest(), Clock(print, Cancellation()))


@pytest.mark.parametrize(
    ("answers", "calls"),
    [
        ({"next": [404]}, ["next"]),  # an earlier release
        ({"next": [500]}, ["next"]),
        ({"next": [204]}, ["next"]),
        ({"archive": [409]}, ["next", "archive"]),  # claimed by another worker
    ],
)
def test_without_an_answer_the_grade_goes_on_alone(stub, start, scratch, answers, calls):
    stub.status |= answers
    ahead = start()
    work(ahead)
    assert [name for name, _ in stub.calls] == calls
    assert folders(scratch) == []
    with ahead.taken(stub.job) as found:
        assert found is None


def test_without_room_nothing_is_fetched(stub, start, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    work(start())
    assert [name for name, _ in stub.calls] == ["next"]


def test_where_an_engine_could_read_the_workers_files_nothing_is_fetched(stub, start):
    work(start(sandbox="process"))
    assert stub.calls == []


def test_an_operator_can_turn_it_off(stub, start):
    ahead = start(fetch_ahead=False)
    ahead.follow(Stage.LOAD)
    assert ahead._work is None
    assert stub.calls == []


def test_the_worker_fetches_each_entry_once(stub, worker, monkeypatch, caplog):
    """The grade itself is left out: it ends with a rejection, and the next one is claimed."""
    caplog.set_level("INFO")
    monkeypatch.setattr(run, "load", lambda _: make_contest())
    graded = []

    def grade(source, contest, settings, tell, *_):
        graded.append(source)
        if len(graded) == 1:
            tell(Progress(Stage.LOAD))
            assert wait_until(lambda: "submission 5 is ready" in caplog.text, 60)
            tell(Progress(Stage.SPEED))
        raise rejected("RUN_NONFINITE")

    monkeypatch.setattr(run, "grade", grade)
    settings = worker(sandbox="network")
    stub.jobs = [stub.job, dataclasses.replace(stub.job, evaluation=8, attempt=1, submission=6)]
    assert run.run_pending(settings, stub.site()) == 2
    assert [type(source) for source in graded] == [type(settings.scratch), Checked]
    assert len(stub.bodies("archive")) == 2
    assert not list(settings.scratch.glob("g-*"))
