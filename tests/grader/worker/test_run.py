"""Whole attempts: a real archive, the real checker, stub engines, a stub site."""

import dataclasses
import errno
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from pathlib import Path

import httpx
import pytest

from grader.contest import find, load
from grader.protocol.documents import Report
from grader.protocol.worker import encode_job
from grader.schema import decode
from grader.scoring.score import score
from grader.worker import run, workspace
from grader.worker.faults import Failed, rejected
from grader.worker.measure import system
from grader.worker.settings import Settings
from tests.grader.worker.conftest import STUB, make_contest, processes_naming, wait_until
from tests.grader.worker.site_stub import SiteStub


def archive_of(folder, **replaced):
    """A tar of the checkpoint in ``folder``. ``replaced`` has new bytes for a file (None: leave it out)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in sorted(folder.iterdir()):
            data = replaced.get(file.name.replace(".", "_"), file.read_bytes())
            if data is not None:
                entry = tarfile.TarInfo(file.name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def good():
    return archive_of(make_contest().base_folder)


@pytest.fixture
def small(monkeypatch):
    """The worker's copy of the demo contest, reduced."""
    monkeypatch.setattr(run, "load", lambda _: make_contest())


def one_end(stub):
    """Return the single message that ended the attempt."""
    ends = [(verb, body) for verb, body in stub.calls if verb in ("report", "reject", "fail")]
    assert len(ends) == 1
    return ends[0]


def test_a_whole_attempt(good, small, worker, scratch):
    stub, settings = SiteStub(good), worker(candidate={"token_s": 0.0004})
    assert run.run_pending(settings, stub.site()) == 1
    verb, body = one_end(stub)
    assert verb == "report"
    report = decode(Report, body)
    contest = make_contest()
    assert [r.benchmark for r in report.quality] == ["gsm8k", "choice"]
    assert [r.shape for r in report.speed] == ["latency", "throughput"]
    assert report.memory.checkpoint_bytes == report.checkpoint.safetensors_bytes > 0
    assert report.memory.loaded_bytes == report.memory.base_loaded_bytes > 0
    assert [s.stage for s in report.stages] == ["fetch", "check", "load", "quality", "speed"]
    assert report.system.worker == "worker-1"
    assert report.system.sandbox == "process"
    assert "--no-enable-prefix-caching" in report.system.engine_flags
    assert not any(str(scratch) in flag for flag in report.system.engine_flags)
    assert len(report.quality[0].items) == contest.benchmarks[0].limit
    assert score(report, contest, contest.formula) if report.quality[0].base_value else True
    stages = [body["stage"] for body in stub.bodies("progress")]
    assert stages[0] == "fetch"
    assert "quality" in stages
    assert list((scratch / "s").glob("g-*")) == []  # nothing is left behind


def test_what_the_worker_says_of_itself(worker):
    stub = SiteStub()
    stub.jobs = []
    assert run.run_pending(worker(), stub.site()) == 0
    (claim,) = stub.bodies("claim")
    assert claim["worker"] == "worker-1"
    assert claim["device"] == "cpu"
    assert claim["sandbox"] == "process"
    assert claim["contests"]["demo"] == load(find("demo")).sha256
    assert claim["versions"]["vllm"]


def test_a_restarted_worker_gives_back_what_it_was_grading_when_it_was_killed(worker):
    stub, settings = SiteStub(), worker()
    lost, stub.jobs = stub.job, []
    with workspace.exclusive(settings):
        child = os.fork()
        if not child:
            with workspace.holding(settings, lost):
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
    for _ in range(2):
        assert run.run_pending(settings, stub.site()) == 0
    verb, body = one_end(stub)  # only once
    assert (verb, body["problems"][0]["code"]) == ("fail", "SYS_WORKER_LOST")
    assert [name for name, _ in stub.calls] == ["fail", "claim", "claim"]


def test_what_the_site_has_taken_back_already_stops_no_restarted_worker(good, small, worker):
    stub, settings = SiteStub(good), worker()
    settings.scratch.mkdir()
    (settings.scratch / workspace.HELD).write_text(json.dumps(encode_job(stub.job)))
    stub.status["fail"] = [409]
    assert run.run_pending(settings, stub.site()) == 1
    assert [name for name, _ in stub.calls][:2] == ["fail", "claim"]
    assert len(stub.bodies("report")) == 1


@pytest.mark.parametrize("left", ["", "{", "[]", '{"kind": "grade"}'])
def test_a_note_that_cannot_be_read_stops_no_worker(worker, left):
    stub, settings = SiteStub(), worker()
    stub.jobs = []
    settings.scratch.mkdir()
    (settings.scratch / workspace.HELD).write_text(left)
    assert run.run_pending(settings, stub.site()) == 0
    assert [name for name, _ in stub.calls] == ["claim"]


def test_a_worker_without_a_token_says_so_and_asks_nobody(worker, caplog):
    assert run.run_pending(worker(token="")) == 0
    assert "GRADER_TOKEN is empty" in caplog.text


def test_a_bad_checkpoint_is_rejected_with_the_checkers_problems(small, worker):
    broken = archive_of(make_contest().base_folder, model_safetensors=b"<html>404</html>")
    stub = SiteStub(broken)
    run.run_pending(worker(), stub.site())
    verb, body = one_end(stub)
    assert verb == "reject"
    assert "ST_HEADER" in {problem["code"] for problem in body["problems"]}


def test_no_archive_at_all_is_rejected(small, worker):
    stub = SiteStub(b"this is not an archive")
    run.run_pending(worker(), stub.site())
    verb, body = one_end(stub)
    assert (verb, body["problems"][0]["code"]) == ("reject", "ARCHIVE_FORMAT")


def test_an_engine_that_refuses_rejects_with_a_redacted_log(good, small, worker, scratch):
    lines = [f"ValueError: bad file {scratch / 's'}/x token a-secret-token"]
    stub = SiteStub(good)
    run.run_pending(worker(candidate={"print": lines, "exit_at_start": 1}), stub.site())
    verb, body = one_end(stub)
    assert (verb, body["problems"][0]["code"]) == ("reject", "LOAD_ENGINE")
    assert "ValueError: bad file" in body["log"]
    assert "ValueError: bad file" in body["problems"][0]["detail"]
    for text in (body["log"], body["problems"][0]["detail"]):
        assert "a-secret-token" not in text
        assert str(scratch) not in text


def test_a_dead_engine_is_our_failure_and_ends_the_loop(good, small, worker):
    stub = SiteStub(good)
    stub.jobs *= 2
    assert run.run_pending(worker(candidate={"crash_after": 3}), stub.site()) == 1
    verb, body = one_end(stub)
    assert (verb, body["problems"][0]["code"]) == ("fail", "SYS_ENGINE_DIED")
    assert "stub crashed as told" in body["log"]


def test_another_version_of_the_contest(good, worker):
    stub = SiteStub(good)
    run.run_pending(worker(), stub.site())
    verb, body = one_end(stub)
    assert (verb, body["problems"][0]["code"]) == ("fail", "SYS_CONTEST_MISMATCH")


def test_an_unknown_contest(good, worker):
    stub = SiteStub(good, contest="nowhere")
    run.run_pending(worker(), stub.site())
    assert one_end(stub)[1]["problems"][0]["code"] == "SYS_CONTEST_MISMATCH"


def test_a_contest_that_is_offered_is_found_again_whatever_its_folder_is_called(worker, tmp_path):
    drafted = tmp_path / "of-last-week" / "contest.toml"
    drafted.parent.mkdir()
    source = find("demo").read_text("utf-8").replace('id = "demo"', 'id = "drafted"', 1)
    drafted.write_text(source.replace("../", f"{find('demo').parent.parent}/"), "utf-8")
    settings = worker(contests=(tmp_path,))
    offered = {contest.id: contest.sha256 for contest in run.known_contests(settings)}
    job = SiteStub(contest="drafted", contest_sha256=offered["drafted"]).job
    assert run.contest_of(job, settings).id == "drafted"


def test_too_weak_a_sandbox(good, worker, monkeypatch):
    contest = make_contest()
    object.__setattr__(
        contest, "hardware", dataclasses.replace(contest.hardware, sandbox="namespace")
    )
    monkeypatch.setattr(run, "load", lambda _: contest)
    stub = SiteStub(good)
    run.run_pending(worker(sandbox="process"), stub.site())
    assert one_end(stub)[1]["problems"][0]["code"] == "SYS_SANDBOX"


@pytest.mark.parametrize(
    ("error", "code"),
    [(RuntimeError("a bug"), "SYS_INTERNAL"), (OSError(errno.ENOSPC, "full"), "SYS_DISK_FULL")],
)
def test_the_unforeseen_is_our_failure(good, small, worker, monkeypatch, error, code):
    def broken(*_):
        raise error

    monkeypatch.setattr(run, "grade", broken)
    stub = SiteStub(good)
    run.run_pending(worker(), stub.site())
    verb, body = one_end(stub)
    assert (verb, body["problems"][0]["code"]) == ("fail", code)
    assert "Traceback" in body["log"]


def test_a_lost_lease_kills_the_engines_and_writes_nothing(good, small, worker, scratch):
    """F6: the zombie's attempt is over, and another worker has it."""
    stub = SiteStub(good)
    stub.status["progress"] = [200] * 40 + [409]
    started = time.monotonic()
    run.run_pending(worker(candidate={"start_s": 15}), stub.site())
    assert time.monotonic() - started < 14
    assert not {"report", "reject", "fail"} & {verb for verb, _ in stub.calls}
    assert processes_naming(str(scratch)) == []


def test_a_report_that_comes_too_late_is_dropped(good, small, worker, monkeypatch):
    def late(*_):
        raise rejected("LOAD_ENGINE")

    monkeypatch.setattr(run, "grade", late)
    stub = SiteStub(good)
    stub.status["reject"] = [409]
    stub.status["progress"] = [200]
    assert run.run_pending(worker(), stub.site()) == 1
    assert one_end(stub)[0] == "reject"  # sent once, refused, not repeated


def test_a_site_that_never_answers_is_left_alone(worker):
    stub = SiteStub()
    stub.status["claim"] = [httpx.ConnectError("down")]
    assert run.run_pending(worker(), stub.site()) == 0


def test_one_machine_grades_one_thing_at_a_time(worker):
    stub, settings = SiteStub(), worker()
    with workspace.exclusive(settings) as alone:
        assert alone
        assert run.run_pending(settings, stub.site()) == 0
    assert stub.calls == []


def test_leftovers_of_a_killed_worker_are_removed(worker):
    settings = worker()
    leftover = settings.scratch / "g-old" / "model"
    leftover.mkdir(parents=True)
    (leftover / "file").write_text("x")
    with workspace.exclusive(settings):
        assert not leftover.parent.exists()


def test_a_scratch_folder_too_deep_for_sockets_says_so(worker, scratch):
    settings = worker(scratch=scratch / ("deep" * 20))
    with pytest.raises(Failed, match="GRADER_SCRATCH"), workspace.create(settings):
        pass


def test_a_worker_asked_to_stop_claims_nothing_more(worker):
    stub = SiteStub()
    assert run.run_pending(worker(), stub.site(), stop=lambda: True) == 0
    assert stub.calls == []


def test_kill_9_of_the_grading_process_leaves_no_engine(good, worker, scratch):
    """F1: what a Celery child leaves behind if the kernel or an operator kills it."""
    (scratch / "archive").write_bytes(good)
    (scratch / "knobs.json").write_text("{}")
    script = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parents[3])!r})
        from tests.grader.worker.conftest import make_contest
        from grader.worker.grade import grade
        from grader.worker.settings import Settings
        scratch = Path({str(scratch)!r})
        settings = Settings(scratch=scratch / "s", cache=scratch / "cache", sandbox="process",
            engine=(sys.executable, "-I", {str(STUB)!r}, "--knobs", str(scratch / "knobs.json")))
        def tell(progress):
            if progress.stage == "quality":
                print("running", flush=True)
        grade(scratch / "archive", make_contest(), settings, tell)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"running\n"
    assert len(processes_naming(str(scratch))) >= 5  # the script, two keepers, two engines
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert wait_until(lambda: processes_naming(str(scratch)) == [], 10)


def test_a_gpu_in_use_is_our_failure(monkeypatch):
    monkeypatch.setattr(system, "gpu_processes", lambda settings, count: frozenset({4711}))
    with pytest.raises(Failed, match="SYS_GPU_DIRTY"):
        system.require_free_gpus(Settings(device="cuda"), wait_s=0.0)
    system.require_free_gpus(Settings(device="cpu"), wait_s=0.0)


def test_the_machine_describes_itself():
    described = system.describe(Settings(name="w"), "process", ("--seed=0",))
    assert described.worker == "w"
    assert described.cpu
    assert described.cpu_count == len(os.sched_getaffinity(0))
    assert described.memory_bytes > 1 << 28
    assert {"vllm", "torch", "transformers", "lm_eval", "compressed_tensors"} <= set(
        described.versions
    )


def test_importing_the_worker_imports_nothing_heavy():
    code = """
        import sys
        import grader.worker.grade, grader.worker.run
        heavy = {"torch", "vllm", "transformers", "lm_eval", "celery", "django", "datasets", "tokenizers"}
        print(sorted(heavy & set(sys.modules)))
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert result.stdout == "[]\n"


def test_the_ring_only_wakes_and_its_message_carries_nothing():
    from grader.worker.celery import app
    from grader.worker.tasks import ring

    assert ring.name == "grader.ring"
    assert app.conf.beat_schedule == {}  # the worker polls by itself
    assert app.conf.broker_connection_max_retries is None
    assert app.conf.task_acks_late is False
    assert app.conf.accept_content == ["json"]
