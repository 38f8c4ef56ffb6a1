"""Checks for organisers, against stubs that cheat in one known way each."""

from __future__ import annotations

import dataclasses

import pytest

from grader.report import Item, QualityResult
from grader.worker import compliance, harness, samples
from grader.worker.engine import Model, launch
from grader.worker.faults import Cancellation, Failed
from grader.worker.harness import Heard

from .conftest import make_contest


@pytest.fixture
def engines(scratch, worker):
    def begin(base=None, candidate=None, contest=None):
        contest = contest or make_contest()
        models = tuple(Model(role, contest.base_folder, 1) for role in ("base", "candidate"))
        settings = worker(base, candidate)
        return launch(models, contest, settings, scratch / "run", "process", Cancellation())

    return begin


def heard(text="#### 42", n=16):
    return [Heard(tuple(range(5, 25)), 40, text) for _ in range(n)]


def lengths(own, base):
    item = Item(0, "d", "p", 1.0, 1.0)
    result = QualityResult("gsm8k", 1, 0, 1, 0, (item,), own, base)
    (check,) = compliance.lengths([result], make_contest())
    return check


@pytest.mark.parametrize(
    ("own", "flagged"), [(100, False), (109, False), (111, True), (91, False), (89, True)]
)
def test_answers_of_another_length(own, flagged):
    assert lengths(own, 100.0).flagged is flagged


def test_multiple_choice_has_no_length():
    result = QualityResult("choice", 1, 0, 1, 0, (Item(0, "d", "p", 1.0, 1.0),))
    assert compliance.lengths([result], make_contest()) == []


@pytest.mark.parametrize(
    ("speed_text", "flagged"),
    [("#### 42", False), ("#### 42 and on and on", False), ("####", False), ("nonsense", True)],
)
def test_answers_in_speed_mode(engines, speed_text, flagged):
    """One text is the beginning of the other: only the length differs between the modes."""
    with engines(candidate={"speed_text": speed_text}) as (_, candidate):
        check = compliance.answers(candidate, heard())
    assert check.flagged is flagged
    assert check.measured == (0.0 if flagged else 1.0)


@pytest.mark.parametrize("cache", [False, True])
def test_repeated_prompts(engines, cache):
    """M4: prefix caching left on by mistake, or a cache in the model."""
    with engines(candidate={"prefill_s": 0.0001, "cache": cache}) as (_, candidate):
        check = compliance.repeats(candidate)
    assert check.flagged is cache
    assert (check.measured > 1.0) is cache


def test_a_whole_check_of_an_honest_candidate(engines):
    contest = make_contest()
    with engines(contest=contest) as (base, candidate):
        found = compliance.check(base, candidate, [], heard())
    assert {c.code: c.flagged for c in found} == {
        "FLAG_SPEED_ANSWERS": False,
        "FLAG_REPEATS": False,
        "FLAG_WEIGHTS": False,
    }
    assert found[-1].measured == pytest.approx(1.0, abs=1e-3)


def test_an_engine_that_dies_under_the_check_is_our_failure(engines):
    with engines(candidate={"crash_after": 3}) as (_, candidate), pytest.raises(Failed) as info:
        compliance.answers(candidate, heard())
    assert info.value.problems[0].code == "SYS_ENGINE_DIED"


def test_samples_are_cleaned_and_cut(engines):
    hostile = "\x1b[31m<script>alert(1)</script>\u202e" + "x" * 100_000
    with engines({"text": "fine"}, {"text": hostile}) as (base, candidate):
        (sample,) = samples.collect(base, candidate)
    assert sample.prompt == make_contest().sample_prompts[0]
    assert sample.base == "fine"
    assert sample.candidate.startswith("<script>alert(1)</script>x")
    assert len(sample.candidate) <= samples.MAX_CHARS


def test_no_prompts_no_samples(engines):
    contest = make_contest()
    object.__setattr__(contest, "sample_prompts", ())
    with engines(contest=contest) as (base, candidate):
        assert samples.collect(base, candidate) == ()


def test_limits_stand_in_the_contest():
    contest = make_contest()
    strict = dataclasses.replace(contest.compliance, length_band=0.01)
    object.__setattr__(contest, "compliance", strict)
    result = QualityResult("gsm8k", 1, 0, 1, 0, (), 102.0, 100.0)
    (check,) = compliance.lengths([result], contest)
    assert check.flagged
    assert check.limit == 0.01


def test_answers_longer_than_any_honest_one_are_not_read(engines):
    body = {"prompt": [5, 6, 7], "max_tokens": 4}
    with (
        engines(candidate={"huge": 3_000_000}) as (_, candidate),
        pytest.raises(Failed, match="SYS_ENGINE_DIED"),
    ):
        harness.ask(candidate, [body])
