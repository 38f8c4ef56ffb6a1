"""Engines that start, refuse, crash, hang, flood and lie; all of them are stubs."""

import dataclasses
import math
import threading
import time

import httpx
import pytest

from grader.contest import find, load
from grader.worker.engine import flags
from grader.worker.engine.launch import launch
from grader.worker.engine.server import Model
from grader.worker.faults import Cancellation, Cancelled, Failed, Rejected
from grader.worker.measure import system
from grader.worker.settings import Settings
from tests.grader.worker.conftest import make_contest, wait_until


@pytest.fixture
def start(scratch, contest, worker):
    """``start(candidate={...})`` launches a base and a candidate stub; a context manager."""

    def begin(contest=contest, cancel=None, level="process", weights_bytes=1, **knobs):
        settings = worker(**knobs)
        models = (
            Model("base", contest.base_folder, contest.base_model.safetensors_bytes),
            Model("candidate", contest.base_folder, weights_bytes),
        )
        return launch(models, contest, settings, scratch / "run", level, cancel or Cancellation())

    return begin


def alive(pids):
    found = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] != "Z":
                    found.append(pid)
        except OSError:
            continue
    return found


def problem(info):
    (only,) = info.value.problems
    return only


def test_both_serve_and_end(start):
    with start() as (base, candidate):
        pids = base.pids + candidate.pids
        assert len(pids) >= 4
        assert candidate.ask("/health").status == 200
        assert candidate.loaded_bytes == round(0.0041 * 1024**3)
        assert candidate.startup_s > 0
    assert alive(pids) == []


def test_a_candidate_that_ends_at_start_is_refused_with_its_reason(start):
    lines = [
        "ValueError: bad scale",
        "RuntimeError: Engine core initialization failed. See root cause above.",
    ]
    with pytest.raises(Rejected) as info, start(candidate={"print": lines, "exit_at_start": 1}):
        pass
    assert (problem(info).code, problem(info).detail) == ("LOAD_ENGINE", "ValueError: bad scale")
    assert "bad scale" in info.value.log


def test_an_engine_that_resolved_other_settings_is_our_fault(start):
    lines = [
        "Initializing a V1 LLM engine (v0) with config: model='/m', quantization=quark, seed=0"
    ]
    with pytest.raises(Failed) as info, start(candidate={"print": lines}):
        pass
    assert problem(info).code == "SYS_RESULT_INVALID"
    assert "quantization=quark, not None" in problem(info).detail


def test_a_base_model_that_ends_at_start_is_our_fault(start):
    with (
        pytest.raises(Failed) as info,
        start(base={"exit_at_start": 1}, candidate={"exit_at_start": 1}),
    ):
        pass
    assert (problem(info).code, problem(info).where) == ("SYS_BASE_MODEL", "LOAD_ENGINE")


OOM = {"print": ["torch.OutOfMemoryError: CUDA out of memory."], "exit_at_start": 1}


def test_out_of_memory_is_the_teams_only_with_a_larger_model(start):
    with pytest.raises(Rejected) as info, start(candidate=OOM, weights_bytes=10**12):
        pass
    assert problem(info).code == "LOAD_OOM"


def test_out_of_memory_of_a_model_that_must_fit_is_ours(start):
    with pytest.raises(Failed) as info, start(candidate=OOM):
        pass
    assert problem(info).code == "SYS_OOM"


def test_an_engine_above_the_memory_limit_is_ended(start):
    knobs = {"allocate_bytes": 600 << 20, "start_s": 30}
    with (
        pytest.raises(Rejected) as info,
        start(candidate=knobs, weights_bytes=10**12, memory_bytes=300 << 20),
    ):
        pass
    assert problem(info).code == "LOAD_OOM"


def test_too_slow_a_start(start):
    contest = make_contest(startup_timeout_s=3)
    with pytest.raises(Rejected) as info, start(contest=contest, candidate={"start_s": 60}):
        pass
    assert problem(info).code == "LOAD_TIMEOUT"


def test_a_start_for_which_the_base_model_took_nearly_as_long_is_our_timeout(start):
    contest = make_contest(startup_timeout_s=6)
    slow = {"base": {"start_s": 3}, "candidate": {"start_s": 60}}
    with pytest.raises(Failed) as info, start(contest=contest, **slow):
        pass
    assert (problem(info).code, problem(info).where) == ("SYS_TIMEOUT", "candidate")


def test_an_engine_killed_without_a_word_while_it_loads_may_be_the_machines_victim(start):
    with pytest.raises(Failed) as info, start(candidate={"exit_at_start": 137}):
        pass
    assert (problem(info).code, problem(info).where) == ("SYS_ENGINE_DIED", "candidate")


def test_an_engine_killed_with_a_word_is_refused(start):
    knobs = {"print": ["ValueError: bad scale"], "exit_at_start": 139}
    with pytest.raises(Rejected) as info, start(candidate=knobs):
        pass
    assert (problem(info).code, problem(info).detail) == ("LOAD_ENGINE", "ValueError: bad scale")


@pytest.mark.parametrize(("device", "one_by_one"), [("cpu", False), ("cuda", True)])
def test_engines_on_a_gpu_load_one_after_the_other(start, device, one_by_one, monkeypatch):
    """While vLLM loads, it counts what another engine allocates on the device as its own."""
    monkeypatch.setattr(system, "gpu_processes", lambda *_: frozenset())
    with start(base={"start_s": 2}, device=device) as (base, candidate):
        assert (candidate._started >= base._started + base.startup_s) is one_by_one


def test_an_answer_that_drips_ends_in_time(start):
    contest = make_contest(startup_timeout_s=3)
    started = time.monotonic()
    with pytest.raises(Rejected) as info, start(contest=contest, candidate={"drip": True}):
        pass
    assert problem(info).code == "LOAD_TIMEOUT"
    assert time.monotonic() - started < 60


def test_figures_that_are_none_do_not_stop_the_log(start):
    lines = ["Model loading took 1.2.3 GiB", "Model loading took " + "9" * 400 + " GiB"]
    with start(candidate={"print": [*lines, "still read"]}) as (_, candidate):
        assert wait_until(lambda: "still read" in candidate.log_tail())


@pytest.mark.parametrize("knob", ["nan", "null"])
def test_nan_is_found_before_any_benchmark(start, knob):
    with pytest.raises(Rejected) as info, start(candidate={knob: True}):
        pass
    assert problem(info).code == "RUN_NONFINITE"


def test_an_engine_that_serves_another_model(start):
    with pytest.raises(Failed) as info, start(candidate={"root": "/elsewhere"}):
        pass
    assert problem(info).code == "SYS_RESULT_INVALID"


def test_a_crash_at_the_first_request(start):
    with pytest.raises(Failed) as info, start(candidate={"crash_after": 0}):
        pass
    assert (problem(info).code, problem(info).where) == ("SYS_ENGINE_DIED", "candidate")
    assert "stub crashed as told" in problem(info).detail


def test_a_flood_of_log_neither_blocks_nor_fills_memory(start):
    with start(candidate={"flood_bytes": 50 << 20}) as (_, candidate):
        assert len(candidate.log_tail()) <= 16_000


def test_a_grandchild_in_its_own_session_is_ended_too(start):
    with start(candidate={"spawn": True}) as (_, candidate):
        pids = candidate.pids
        assert len(pids) >= 3
    assert alive(pids) == []


def test_cancelling_while_engines_load(start):
    cancel = Cancellation()
    timer = threading.Timer(1.0, cancel.cancel, ["lease lost"])
    timer.start()
    started = time.monotonic()
    with pytest.raises((Cancelled, Failed, Rejected)), start(cancel=cancel, base={"start_s": 60}):
        pass
    assert cancel.reason == "lease lost"
    assert time.monotonic() - started < 15
    timer.join()


def test_cancelling_kills_running_engines_at_once(start):
    cancel = Cancellation()
    with start(cancel=cancel) as (base, candidate):
        pids = base.pids + candidate.pids
        cancel.cancel("lease lost")
        assert alive(pids) == []
        with pytest.raises(Cancelled):
            cancel.check()
    ran = []
    cancel.on_cancel(lambda: ran.append("late"))
    assert ran == ["late"]


@pytest.mark.parametrize("linger_s", [0, 1.5])
def test_a_died_engine_reports_its_exit(start, linger_s):
    with start(candidate={"crash_after": 1, "linger_s": linger_s}) as (_, candidate):
        body = {"prompt": [1], "max_tokens": 1}
        with pytest.raises(httpx.TransportError) as broken:
            candidate.ask("/v1/completions", body)
        fault = candidate.died(broken.value)
    assert fault.problems[0].code == "SYS_ENGINE_DIED"
    assert "exit code 3" in fault.problems[0].detail


def test_a_hang_is_ended(start):
    with start(candidate={"hang_after": 1}) as (_, candidate):
        pids = candidate.pids
        with pytest.raises(httpx.ReadTimeout) as broken:
            candidate.ask("/v1/completions", {"prompt": [1], "max_tokens": 1}, patience_s=0.5)
        fault = candidate.died(broken.value)
        assert "ReadTimeout" in fault.problems[0].detail
        assert alive(pids) == []


def test_flags_are_pinned_and_differ_by_device_only_where_they_must(contest, tmp_path):
    cpu = flags.arguments(tmp_path, tmp_path / "s", contest, Settings())
    cuda = flags.arguments(
        tmp_path,
        tmp_path / "s",
        contest,
        Settings(device="cuda", enforce_eager=False, kv_cache_bytes=0),
    )
    differing = {flag.partition("=")[0] for flag in set(cpu) ^ set(cuda)}
    assert differing == {"--gpu-memory-utilization", "--enforce-eager", "--kv-cache-memory-bytes"}
    assert not any("trust-remote-code" in flag or "lora" in flag for flag in cpu)
    assert f"--tokenizer={contest.base_folder}" in cpu
    half = next(
        float(f.partition("=")[2]) for f in cuda if f.startswith("--gpu-memory-utilization")
    )
    assert math.isclose(half, contest.engine.gpu_memory_utilization / 2)
    assert not any(str(tmp_path) in flag for flag in flags.published(cpu))


def test_engines_are_spread_over_gpus_only_where_the_contest_says_so(contest, tmp_path):
    def given(gpus):
        engine = dataclasses.replace(contest.engine, tensor_parallel=gpus)
        spread = dataclasses.replace(contest, engine=engine)
        found = flags.arguments(tmp_path, tmp_path / "s", spread, Settings())
        return [flag for flag in found if flag.startswith("--tensor-parallel-size")]

    assert given(1) == []
    assert given(4) == ["--tensor-parallel-size=4"]


def test_a_chat_template_is_named_only_where_it_is_a_file_of_its_own(contest, tmp_path):
    """SmolLM2's is in tokenizer_config.json: vLLM exits if a named file does not exist."""
    smollm2 = load(find("smollm2"))

    def named(rules):
        given = flags.arguments(tmp_path, tmp_path / "s", rules, Settings())
        return [flag for flag in given if flag.startswith("--chat-template=")]

    assert named(contest) == [f"--chat-template={contest.base_folder / 'chat_template.jinja'}"]
    assert "chat_template" in (smollm2.base_folder / "tokenizer_config.json").read_text()
    assert named(smollm2) == []


def test_the_environment_is_listed_and_has_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADER_TOKEN", "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    environment = flags.environment(tmp_path, Settings(token="secret"))
    assert "secret" not in environment.values()
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert flags.environment(tmp_path, Settings(cpu_threads=2))["OMP_NUM_THREADS"] == "2"


def test_namespace_level_serves_through_its_socket(start):
    from grader.worker.sandbox import box

    if box.detect() != "namespace":
        pytest.skip("bubblewrap does not work here")
    with start(level="namespace") as (base, candidate):
        pids = base.pids + candidate.pids
    assert wait_until(lambda: alive(pids) == [], 5)
