"""What a trial says of a contest: figures, and what puts it in doubt, each by a trial made to show it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.problems.catalogue import CATALOGUE, Fault
from grader.protocol.trial import OtherTemplate, Trial
from grader.schema import decode, encode
from grader.scoring.score import ScoreError
from grader.scoring.trial import assess, compare
from grader.scoring.trial_findings import find
from tests.factories_pure import speed
from tests.trials import CONTEST, N, graded, right, trial


def codes(measured, contest=CONTEST, teams=5, gpus=1):
    found = assess(measured, contest, teams)
    return [(p.code, p.where) for p in find(found, measured, contest, gpus)]


def test_a_sound_contest_has_no_finding():
    found = assess(trial(), CONTEST, 5)
    assert find(found, trial(), CONTEST, 1) == ()
    gsm8k, choice, _ = found.benchmarks
    assert (gsm8k.base, gsm8k.questions, gsm8k.separates) == (0.8, N, True)
    assert (gsm8k.reference.won, gsm8k.reference.lost) == (0, 20)
    assert gsm8k.reference.p == pytest.approx(2 / 2**20)
    assert (gsm8k.other.value, gsm8k.other.lost) == (0.4, 40)
    assert choice.chance == 0.25
    assert [t.name for t in found.terms] == ["accuracy", "memory", "speed"]
    accuracy = found.terms[0]
    assert (accuracy.base, accuracy.reference) == (1.0, pytest.approx(60 / 80))
    assert {(r.part, r.questions, r.rounds) for r in found.resolutions} == {
        (part, n, k) for part in ("public", "private") for n in (1, 2) for k in (1, 2)
    }
    now, *_, both = [r.smallest for r in found.resolutions if r.part == "public"]
    assert both < now
    assert decode(Trial, encode(trial())) == trial()


def test_cost_is_of_a_whole_quota():
    cost = assess(trial(), CONTEST, 5).cost
    assert (cost.minutes, cost.grades_a_day) == (4.0, 5 * CONTEST.limits.submissions_per_day)
    assert cost.hours_a_day == pytest.approx(cost.grades_a_day * 4 / 60)
    assert cost.gpus == 1
    assert cost.hours == pytest.approx(cost.hours_a_day * cost.days)
    assert codes(trial(), teams=30) == [("TRY_GPU_HOURS", "")]
    assert codes(trial(), teams=30, gpus=2) == []


def changed(**facts):
    first, *others = trial().prompts
    return {"prompts": (replace(first, **facts), *others)}


def answered(own, base):
    return {"base": graded({"gsm8k": list(zip(own, base, strict=True)),
                            "choice": list(zip(right(80), right(80), strict=True)),
                            "fresh": list(zip(right(80), right(80), strict=True))},
                           checkpoint_bytes=1000)}  # fmt: skip


SAME = graded(list(zip(right(80), right(80), strict=True)), checkpoint_bytes=1000)
SLOW = [(1.3 + i / 500, 1.0 + i / 400) for i in range(10)]
FOUND = {
    "TRY_BOS_TWICE": (changed(least_bos=2, most_bos=2), "gsm8k"),
    "TRY_BOS_MISSING": (changed(least_bos=0), "gsm8k"),
    "TRY_PROMPTS_CUT": (changed(cut=1, longest_tokens=900), "gsm8k"),
    "TRY_ANSWERS_CUT": (changed(at_limit=3), "gsm8k"),
    "TRY_NO_RESULT": (changed(without_result=3), "gsm8k"),
    "TRY_GUESSING": (answered(right(1), right(1)), "gsm8k"),
    "TRY_TEMPLATE": (
        {"other_template": (OtherTemplate("gsm8k", False, tuple(right(95))),)},
        "gsm8k",
    ),
    "TRY_UNSTEADY": (answered(right(80), [*right(80)[3:], 1.0, 1.0, 1.0]), "gsm8k"),
    "TRY_AA": (
        {"base": replace(SAME, speed=tuple(speed(s.id, SLOW) for s in CONTEST.speed.shapes))},
        "latency",
    ),
    "TRY_NO_REFERENCE": ({"reference": None}, ""),
    "TRY_NOT_SEPARATED": ({"reference": SAME}, "w4a16-rtn"),
    "TRY_COARSE": ({"reference": SAME}, "public"),
}


@pytest.mark.parametrize("code", FOUND)
def test_what_puts_a_contest_in_doubt_is_found(code):
    facts, where = FOUND[code]
    assert (code, where) in codes(trial(**facts))


@pytest.mark.parametrize(
    "facts",
    [changed(at_limit=2), changed(without_result=2), changed(without_result=None),
     changed(bos_id=None, wants_bos=False, least_bos=0, most_bos=0)],
)  # fmt: skip
def test_what_is_as_it_should_be_is_not(facts):
    assert codes(trial(**facts)) == []


def test_another_device_than_the_contests_is_said():
    hardware = replace(CONTEST.hardware, name="NVIDIA L4", compute_capability=8.9, gpus=("L4",))
    contest = replace(CONTEST, hardware=hardware)
    assert codes(trial(), contest) == [("TRY_OTHER_HARDWARE", "")]
    base = trial().base
    for name, expected in [("NVIDIA L4", []), ("NVIDIA L40S", [("TRY_OTHER_HARDWARE", "")])]:
        system = replace(base.system, device="cuda", device_name=name)
        assert codes(trial(base=replace(base, system=system)), contest) == expected


CONFIG = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64}


def test_a_pairing_that_does_not_fit_is_said_with_what_the_other_costs():
    assert assess(trial(), CONTEST, 5).pairings == ()  # nobody knows the model's shape
    found = assess(trial(), CONTEST, 5, CONFIG)
    assert [(one.pairing, one.is_chosen) for one in found.pairings] == [
        ("side_by_side", True),
        ("turns", False),
    ]
    assert found.pairings[1].minutes > found.pairings[0].minutes > 0
    system = replace(trial().base.system, device="cuda", device_name="NVIDIA L4")

    def on_a_gpu(memory_bytes):
        hardware = replace(CONTEST.hardware, compute_capability=8.9, memory_bytes=memory_bytes)
        engine = replace(CONTEST.engine, gpu_memory_utilization=0.85)
        contest = replace(CONTEST, hardware=hardware, engine=engine)
        measured = trial(base=replace(trial().base, system=system))
        found = assess(measured, contest, 5, CONFIG)
        problems = [(p.code, p.where) for p in find(found, measured, contest, 1)]
        return [one.fits for one in found.pairings], problems

    assert on_a_gpu(24 * 10**9) == ([True, True], [])
    assert on_a_gpu(4 * 10**9) == ([False, True], [("TRY_PAIRING", "side_by_side")])


def test_on_a_cpu_engines_share_the_main_memory():
    """``gpu_memory_utilization``, 0.1 in the demo, is a GPU's: two engines of 2.2 GB fit into 8 GB."""
    system = replace(trial().base.system, memory_bytes=8 * 10**9)
    measured = trial(base=replace(trial().base, system=system))
    side_by_side, turns = assess(measured, CONTEST, 5, CONFIG).pairings
    assert (side_by_side.fits, side_by_side.available_bytes) == (True, 4 * 10**9)
    assert (turns.fits, turns.available_bytes) == (True, 8 * 10**9)


def test_every_code_of_a_trial_is_found_by_one():
    in_catalogue = {code for code in CATALOGUE if code.startswith("TRY_")}
    assert in_catalogue == {*FOUND, "TRY_GPU_HOURS", "TRY_OTHER_HARDWARE", "TRY_PAIRING"}
    assert {CATALOGUE[code].fault for code in in_catalogue} == {Fault.NOTICE}


def test_excluded_questions_count_for_nothing():
    benchmarks = tuple(replace(b, exclude_docs=tuple(range(10))) for b in CONTEST.benchmarks)
    found = assess(trial(), replace(CONTEST, benchmarks=benchmarks), 5)
    assert (found.benchmarks[0].questions, found.benchmarks[0].base) == (90, pytest.approx(70 / 90))
    assert found.benchmarks[0].other.lost == 40


def test_a_trial_of_other_benchmarks_is_refused():
    missing = replace(trial(), base=replace(trial().base, quality=()))
    with pytest.raises(ScoreError):
        assess(missing, CONTEST, 5)
    short = trial(other_template=(OtherTemplate("gsm8k", False, (1.0,)),))
    with pytest.raises(ScoreError, match="different questions"):
        assess(short, CONTEST, 5)


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=1))
def test_a_comparison_turned_around_is_the_same_comparison(pairs):
    before, after = [b for b, _ in pairs], [a for _, a in pairs]
    there, back = compare(before, after), compare(after, before)
    assert (there.won, there.lost, there.p) == (back.lost, back.won, back.p)
    assert 0 < there.p <= 1
    assert compare(before, before).p == 1
