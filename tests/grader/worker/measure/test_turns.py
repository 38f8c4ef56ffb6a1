"""Engines that take turns: never two at once, block by block in ABBA, each warmed up; all of them stubs."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest

from grader.protocol import bounds
from grader.protocol.documents import Stage
from grader.scoring.stats import trimmed_interval
from grader.worker import aa, grade
from grader.worker.engine import flags
from grader.worker.engine import launch as launching
from grader.worker.engine.launch import launch
from grader.worker.engine.server import Engine, Model
from grader.worker.faults import Cancellation, Failed, Rejected
from grader.worker.measure import load_generator, system
from grader.worker.settings import Settings
from tests.grader.worker.conftest import make_contest

ROUNDS = 3


def in_turns(**changes):
    facts = {"pairing": "turns", "min_rounds": 2, "max_rounds": 2, "block_rounds": ROUNDS}
    return make_contest(**facts | {"max_half_width": 9.0, "max_warmup_rounds": 4} | changes)


@pytest.fixture
def starts(monkeypatch):
    """Who was started and, at that moment, who else was running."""
    seen, everyone = [], []
    start = Engine.start

    def look(engine):
        others = [other.model.role for other in everyone if other.is_running]
        seen.append((engine.model.role, others))
        start(engine)
        if engine not in everyone:
            everyone.append(engine)

    monkeypatch.setattr(Engine, "start", look)
    return seen


@pytest.fixture
def measure(measure):
    """The shared fixture, on a contest whose engines take turns."""

    def run(base=None, candidate=None, contest=None, **fields):
        return measure(base, candidate, contest or in_turns(), **fields)

    return run


def test_blocks_come_as_abba_and_never_two_engines_at_once(measure, starts):
    results, told = measure(contest=in_turns(min_rounds=4, max_rounds=4))
    assert all(others == [] for _, others in starts)
    roles = [role for role, _ in starts]
    assert roles[:2] == ["base", "candidate"]  # both are known to load before anything is measured
    blocks = roles[2:]
    assert blocks[:4] == ["base", "candidate", "candidate", "base"]
    assert blocks[4:] in (blocks[:4], blocks[:4][::-1], ["candidate", "base", "base", "candidate"])
    for result in results:
        assert result.pairing == "turns"
        assert [block.role for block in result.blocks] == blocks
        assert len(result.rounds) == 4
        assert [r.base_first for r in result.rounds[:2]] == [True, False]
        for block in result.blocks:
            assert len(block.rounds_s) == ROUNDS
            assert 2 <= block.warmup_rounds <= 4
            assert block.startup_s > 0
        for pair, (first, second) in zip(result.rounds, _twos(result.blocks), strict=True):
            times = {first.role: first.round_s, second.role: second.round_s}
            assert times == {"base": pair.base_s, "candidate": pair.candidate_s}
    bounds._speed(results)
    assert told[-1].total == 4


def _twos(blocks):
    return list(zip(blocks[::2], blocks[1::2], strict=True))


def test_both_engines_of_a_pair_get_the_same_prompts_and_every_block_warms_up(
    measure, starts, monkeypatch
):
    block, sent = load_generator.Line.block, []

    async def look(self, prompts, tokens):
        sent.append((self.engine.model.role, len(starts), prompts))
        return await block(self, prompts, tokens)

    monkeypatch.setattr(load_generator.Line, "block", look)
    contest = in_turns()
    object.__setattr__(contest.speed, "shapes", contest.speed.shapes[:1])
    ((result,), _) = measure(contest=contest)
    runs = [list(group) for _, group in itertools.groupby(sent, key=lambda one: one[:2])]
    assert [run[0][0] for run in runs] == ["base", "candidate", "candidate", "base"]
    measured = [[prompts for _, _, prompts in run[-ROUNDS:]] for run in runs]
    assert measured[0] == measured[1] != measured[2] == measured[3]
    assert [len(run) - ROUNDS for run in runs] == [b.warmup_rounds for b in result.blocks]


def test_a_known_slow_down_is_measured(measure):
    results, _ = measure({"token_s": 0.01}, {"token_s": 0.012})
    for result in results:
        mean, half_width = trimmed_interval([r.log_ratio for r in result.rounds])
        assert mean == pytest.approx(-math.log(1.2), abs=half_width + 0.05)
        assert result.candidate.mean_tpot_ms > result.base.mean_tpot_ms


@pytest.mark.parametrize(("aim", "pairs"), [(1e-9, 4), (9.0, 2)])
def test_pairs_go_on_to_the_aim_in_whole_abba_and_end_at_the_limit(measure, aim, pairs):
    results, _ = measure(contest=in_turns(min_rounds=2, max_rounds=4, aim_half_width=aim))
    assert [len(result.rounds) for result in results] == [pairs, pairs]


def test_a_restless_machine_is_our_fault(measure):
    with pytest.raises(Failed) as info:
        measure(contest=in_turns(min_rounds=2, max_rounds=2, max_half_width=1e-9))
    assert info.value.problems[0].code == "SYS_NOISY"
    assert "after 2 pairs of blocks" in info.value.problems[0].detail


@pytest.mark.parametrize(
    ("knobs", "code"), [({"crash_after": 9}, "SYS_ENGINE_DIED"), ({"lie": 1}, "SYS_RESULT_INVALID")]
)
def test_what_breaks_in_a_block_is_judged_as_side_by_side(measure, starts, knobs, code):
    with pytest.raises(Failed) as info:
        measure(candidate=knobs)
    assert info.value.problems[0].code == code
    assert all(others == [] for _, others in starts)


def test_a_far_slower_candidate_answers_for_the_timeout(measure):
    with pytest.raises(Rejected) as info:
        measure(candidate={"token_s": 0.5}, speed_timeout_s=4.0)
    assert info.value.problems[0].code == "RUN_TIMEOUT"


def test_a_slow_pair_is_our_fault(measure):
    with pytest.raises(Failed) as info:
        measure({"token_s": 0.2}, {"token_s": 0.2}, speed_timeout_s=8.0)
    assert info.value.problems[0].code == "SYS_TIMEOUT"


def test_a_candidate_that_loaded_once_is_not_blamed_for_not_coming_up_again(
    measure, worker, monkeypatch
):
    give = launching.Turns.give

    def spoil(turns, engine):
        if engine.model.role == "candidate":
            worker(candidate={"exit_at_start": 1, "print": ["RuntimeError: no room"]})
        give(turns, engine)

    monkeypatch.setattr(launching.Turns, "give", spoil)
    with pytest.raises(Failed) as info:
        measure()
    (problem,) = info.value.problems
    assert (problem.code, problem.where) == ("SYS_ENGINE_DIED", "candidate")
    assert problem.detail == "not up again: LOAD_ENGINE RuntimeError: no room"


def test_a_candidate_that_never_loaded_is(measure):
    with pytest.raises(Rejected) as info:
        measure(candidate={"exit_at_start": 1, "print": ["RuntimeError: no room"]})
    assert info.value.problems[0].code == "LOAD_ENGINE"


def test_an_engine_that_runs_alone_gets_the_whole_gpu(tmp_path):
    def share(contest):
        settings = Settings(device="cuda")
        found = flags.arguments(tmp_path, tmp_path / "s", contest, settings)
        return next(f.partition("=")[2] for f in found if "utilization" in f)

    assert float(share(in_turns())) == 2 * float(share(make_contest()))


def test_before_every_start_the_gpu_is_asked_for(scratch, worker, starts, monkeypatch):
    asked, contest = [], in_turns()
    models = tuple(Model(role, contest.base_folder, 1) for role in ("base", "candidate"))
    monkeypatch.setattr(system, "require_free_gpus", lambda *_: asked.append(len(starts)))
    with launch(models, contest, worker(), scratch / "run", "process", Cancellation()) as engines:
        engines[0].take_turn()
        engines[0].take_turn()  # it runs already
    assert len(starts) == 3
    assert set(asked) == {0, 1, 2}


def test_the_worker_tests_itself_in_turns_too(worker, starts):
    report = aa.measure(in_turns(), worker())
    assert {result.pairing for result in report.speed} == {"turns"}
    bounds.require_plausible(report)
    assert all(others == [] for _, others in starts)


@pytest.mark.parametrize("stored", [False, True])
def test_a_whole_grade_never_runs_two_engines(worker, starts, stored, scratch):
    contest = in_turns()
    settings = worker()
    for _ in range(1 + stored):
        starts.clear()
        report = grade.grade(contest.base_folder, contest, settings)
    bounds.require_plausible(report)
    assert all(others == [] for _, others in starts)
    assert report.memory.loaded_bytes == report.memory.base_loaded_bytes > 0
    assert {stage.stage for stage in report.stages} >= {Stage.LOAD, Stage.QUALITY, Stage.SPEED}
    # the two that load, the base model's answers, four blocks, and both for the checks
    assert len(starts) <= 9
    assert dataclasses.asdict(report.speed[0])["pairing"] == "turns"
