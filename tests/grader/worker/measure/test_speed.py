"""The paired protocol with stubs of known speed."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.protocol.documents import Round
from grader.scoring.stats import trimmed_interval
from grader.worker.faults import Failed, Rejected
from grader.worker.measure import load_generator, prompts
from tests.grader.worker.conftest import make_contest, wait_until


def ratio(result):
    mean, half_width = trimmed_interval([r.log_ratio for r in result.rounds])
    return mean, half_width


def test_a_known_slow_down_is_measured(measure):
    contest = make_contest(min_rounds=10, max_rounds=80, max_half_width=0.05)
    results, told = measure({"token_s": 0.01}, {"token_s": 0.011}, contest)
    for result in results:
        mean, half_width = ratio(result)
        assert mean == pytest.approx(-math.log(1.1), abs=half_width + 0.02)
        assert mean + half_width < 0  # the difference is significant
        assert result.candidate.mean_tpot_ms > result.base.mean_tpot_ms > 9
    assert told[-1].total == 80
    assert told[-1].note.startswith("throughput: ±0.0")


def test_the_same_engine_twice_gives_one(measure):
    contest = make_contest(min_rounds=10, max_rounds=80, max_half_width=0.05)
    results, _ = measure({"token_s": 0.01}, {"token_s": 0.01}, contest)
    for result in results:
        mean, half_width = ratio(result)
        assert abs(mean) <= max(3 * half_width, 0.02)


def test_the_order_of_engines_is_balanced(measure):
    contest = make_contest(min_rounds=8, max_rounds=8, max_half_width=9.0)
    results, _ = measure(contest=contest)
    for result in results:
        firsts = [r.base_first for r in result.rounds]
        assert len(firsts) == 8
        assert all(firsts[i] != firsts[i + 1] for i in range(0, 8, 2))
        assert result.output_tokens == 20 * (2 if result.shape == "latency" else 8)


@pytest.mark.parametrize("role", ["base", "candidate"])
def test_a_false_token_count_voids_every_round(measure, role):
    with pytest.raises(Failed) as info:
        measure(**{role: {"lie": 1}})
    assert info.value.problems[0].code == "SYS_RESULT_INVALID"
    assert f"{role}: 21 tokens instead of 20" in info.value.problems[0].detail


def test_an_engine_that_crashes_in_a_round(measure):
    with pytest.raises(Failed) as info:
        measure(candidate={"crash_after": 9})
    assert (info.value.problems[0].code, info.value.problems[0].where) == (
        "SYS_ENGINE_DIED",
        "candidate",
    )


def test_an_engine_that_hangs_in_a_round(measure):
    with pytest.raises(Failed) as info:
        measure(candidate={"hang_after": 9}, silence_s=1.0)
    assert info.value.problems[0].code == "SYS_ENGINE_DIED"
    assert "ReadTimeout" in info.value.problems[0].detail


def test_a_far_slower_candidate_answers_for_the_timeout(measure):
    with pytest.raises(Rejected) as info:
        measure(candidate={"token_s": 0.5}, speed_timeout_s=4.0)
    assert info.value.problems[0].code == "RUN_TIMEOUT"


def test_a_slow_pair_is_our_fault(measure):
    with pytest.raises(Failed) as info:
        measure({"token_s": 0.2}, {"token_s": 0.2}, speed_timeout_s=4.0)
    assert info.value.problems[0].code == "SYS_TIMEOUT"


def test_a_restless_machine_is_our_fault(measure):
    contest = make_contest(min_rounds=2, max_rounds=3, max_half_width=1e-9)
    with pytest.raises(Failed) as info:
        measure(contest=contest)
    assert info.value.problems[0].code == "SYS_NOISY"


def test_a_few_void_rounds_are_replaced(measure, monkeypatch):
    block, calls = load_generator.Line.block, []

    async def sometimes(self, work, tokens):
        calls.append(self)
        if len(calls) in (12, 17):
            raise load_generator.VoidError("told to")
        return await block(self, work, tokens)

    monkeypatch.setattr(load_generator.Line, "block", sometimes)
    results, _ = measure(contest=make_contest(min_rounds=8, max_rounds=8, max_half_width=9.0))
    firsts = [r.base_first for r in results[0].rounds]
    assert all(firsts[i] != firsts[i + 1] for i in range(0, 8, 2))


def test_prompts_have_the_exact_length_and_change():
    texts = [[number] * length for number, length in enumerate([3, 5, 7, 2])]
    pool = prompts.Prompts([*texts, []], random.Random(1))
    first, second = pool.draw(3, 20), pool.draw(3, 20)
    assert {len(prompt) for prompt in first + second} == {20}
    assert first != second


def test_prompts_of_the_demo_contest():
    contest = make_contest()
    pool = prompts.load(contest, random.Random(1))
    (prompt,) = pool.draw(1, 64)
    assert len(prompt) == 64
    assert all(isinstance(token, int) and token >= 0 for token in prompt)


def test_no_prompts_is_our_fault():
    with pytest.raises(Failed, match="SYS_DATASET"):
        prompts.Prompts([[]], random.Random(1))
    contest = make_contest(prompts="data/missing.jsonl")
    with pytest.raises(Failed, match="SYS_DATASET"):
        prompts.load(contest, random.Random(1))


def test_serving_metrics_follow_the_definitions():
    replies = (
        load_generator.Reply((0.1, 0.2, 0.4), 0.4),
        load_generator.Reply((0.3, 0.4, 0.5), 0.5),
    )
    metrics = load_generator.serving_metrics([load_generator.Block(2.0, replies)], 3)
    assert metrics.mean_ttft_ms == pytest.approx(200)
    assert metrics.mean_tpot_ms == pytest.approx((150 + 100) / 2)
    assert metrics.mean_itl_ms == pytest.approx((100 + 200 + 100 + 100) / 4)
    assert (metrics.median_itl_ms, metrics.p99_itl_ms) == (pytest.approx(100), pytest.approx(197))
    assert metrics.mean_e2el_ms == pytest.approx((400 + 500) / 2)
    assert (metrics.median_e2el_ms, metrics.p99_e2el_ms) == (pytest.approx(450), pytest.approx(499))
    assert metrics.output_tokens_per_s == pytest.approx(3.0)


@given(
    st.lists(
        st.lists(st.floats(0.001, 5), min_size=2, max_size=8).map(sorted), min_size=1, max_size=6
    )
)
def test_serving_metrics_are_those_of_vllms_bench(arrivals):
    """Compares with its formulas (``vllm/benchmarks/serve.py``): numpy's mean, median and percentile."""
    length = min(len(times) for times in arrivals)  # every reply of a block has the same value
    replies = [load_generator.Reply(tuple(times[:length]), times[length - 1]) for times in arrivals]
    ours = load_generator.serving_metrics([load_generator.Block(2.0, tuple(replies))], length)
    theirs = np.array([r.latency_s for r in replies]) * 1000
    ttft = np.array([r.ttft_s for r in replies]) * 1000
    itl = np.concatenate([np.diff(r.arrivals_s) for r in replies]) * 1000
    for name, values in {
        "ttft": ttft, "tpot": (theirs - ttft) / (length - 1), "itl": itl, "e2el": theirs,
    }.items():  # fmt: skip
        assert getattr(ours, f"mean_{name}_ms") == pytest.approx(values.mean(), abs=1e-6)
        assert getattr(ours, f"median_{name}_ms") == pytest.approx(np.median(values), abs=1e-6)
        assert getattr(ours, f"p99_{name}_ms") == pytest.approx(np.percentile(values, 99), abs=1e-6)


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (b'data: {"choices": [], "usage": {"completion_tokens": 7}}\n\ndata: [DONE]\n\n', 7),
        (b"data: [DONE]\n\n", None),
        (b'data: {"usage": null}\n\ndata: [DONE]\n\n', None),
        (b'data: {"usage": {"completion_tokens": "many"}}\n\n', None),
        (b'data: {"usage": broken\n\n', None),
    ],
)
def test_the_count_is_read_without_trust(tail, expected):
    assert load_generator._completion_tokens(tail) == expected


def test_log_ratio_sign():
    assert Round(True, candidate_s=1.0, base_s=2.0).log_ratio > 0


def test_the_engine_that_waits_is_frozen(measure, monkeypatch):
    """Read from /proc while the other engine works: state T, and running again at the end."""
    ask, seen = load_generator.Line._ask, []

    def state(pid):
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]

    async def look(self, prompt, output_tokens):
        (waiting,) = (line.engine for line in lines if line is not self)
        # a process stops only when it is next scheduled
        stopped = wait_until(lambda: state(waiting.pids[-1]) == "T", 10)
        seen.append((self.engine.model.role, stopped, state(self.engine.pids[-1])))
        return await ask(self, prompt, output_tokens)

    lines = []
    make = load_generator.Line.__init__

    def remember(self, *arguments):
        make(self, *arguments)
        lines.append(self)

    monkeypatch.setattr(load_generator.Line, "__init__", remember)
    monkeypatch.setattr(load_generator.Line, "_ask", look)
    contest = make_contest(min_rounds=4, max_rounds=4, max_half_width=9.0)
    shapes = contest.speed.shapes
    object.__setattr__(contest.speed, "shapes", shapes[:1])
    measure(contest=contest)
    assert len(seen) >= 16
    assert {role for role, _, _ in seen} == {"base", "candidate"}
    for _, stopped, working in seen:
        assert stopped
        assert working != "T"


def test_rounds_go_on_to_the_aim_and_end_at_the_limit(measure):
    contest = make_contest(min_rounds=2, max_rounds=9, max_half_width=9.0, aim_half_width=1e-9)
    results, _ = measure(contest=contest)
    assert [len(result.rounds) for result in results] == [9, 9]


def test_ending_early_gains_nothing(measure):
    """M5: an end of text after three tokens, which the speed test ignores."""
    contest = make_contest(min_rounds=10, max_rounds=80, max_half_width=0.05)
    knobs = {"token_s": 0.01}
    results, _ = measure(knobs, {**knobs, "eos_after": 3}, contest)
    for result in results:
        mean, half_width = ratio(result)
        assert abs(mean) <= max(3 * half_width, 0.02)
