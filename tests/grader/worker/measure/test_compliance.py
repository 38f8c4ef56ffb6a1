"""Checks for organizers, with stubs that each cheat in one known way."""

from __future__ import annotations

import dataclasses

import pytest

from grader.protocol.documents import Item, QualityResult
from grader.scoring.parts import is_public
from grader.worker.engine.launch import launch
from grader.worker.engine.server import Model
from grader.worker.faults import Cancellation, Failed
from grader.worker.measure import compliance, lm_eval_client, samples
from grader.worker.measure.recorder import PrivateAnswer, RecordedAnswer, Recorder
from tests.grader.worker.conftest import make_contest


@pytest.fixture
def engines(scratch, worker):
    def begin(base=None, candidate=None, contest=None, **fields):
        contest = contest or make_contest()
        models = tuple(Model(role, contest.base_folder, 1) for role in ("base", "candidate"))
        settings = worker(base, candidate, **fields)
        return launch(models, contest, settings, scratch / "run", "process", Cancellation())

    return begin


def recorded(text="#### 42", n=16):
    return [RecordedAnswer(tuple(range(5, 25)), 40, text) for _ in range(n)]


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


def modes(engines, **knobs):
    """Return (C01, C03) of a stub with these knobs."""
    with engines(candidate=knobs) as (_, candidate):
        found = compliance.modes(candidate, recorded())
    assert [check.code for check in found] == ["FLAG_SPEED_ANSWERS", "FLAG_COUNTS"]
    return found


@pytest.mark.parametrize(
    ("speed_text", "flagged"),
    [("#### 42", False), ("#### 42 and on and on", False), ("####", False), ("nonsense", True)],
)
def test_answers_in_speed_mode(engines, speed_text, flagged):
    """One text is a prefix of the other: the modes differ only in length."""
    check, _ = modes(engines, speed_text=speed_text)
    assert check.flagged is flagged
    assert check.measured == (0.0 if flagged else 1.0)


END = next(iter(compliance.end_tokens(make_contest())))


@pytest.mark.parametrize(
    ("knobs", "flagged"),
    [
        ({}, False),
        ({"lie": 1}, True),  # M7: reports more tokens than it sends
        ({"lie": -1}, True),
        ({"first_token": 9}, True),  # a different first token if only one is requested
        ({"second_token": END}, True),  # continues after the end of text
        ({"lie": 1, "lies": 3}, True),  # the probe and 2 of 16: fewer than nine in ten remain
        ({"lie": 1, "lies": 2}, False),
    ],
)
def test_tokens_are_counted_as_they_come(engines, knobs, flagged):
    _, check = modes(engines, **knobs)
    assert check.flagged is flagged
    assert check.limit == make_contest().compliance.speed_agreement


def test_end_tokens_where_there_is_no_generation_config(tmp_path):
    contest = make_contest()
    object.__setattr__(contest, "folder", tmp_path)
    contest.base_folder.mkdir()
    assert compliance.end_tokens(contest) == set()
    (contest.base_folder / "config.json").write_text('{"eos_token_id": [3, 4]}')
    assert compliance.end_tokens(contest) == {3, 4}
    (contest.base_folder / "generation_config.json").write_text('{"eos_token_id": 5}')
    assert compliance.end_tokens(contest) == {5}


def private_answers(n=20):
    return [PrivateAnswer("gsm8k", number, str(1000 + number)) for number in range(n)]


@pytest.mark.parametrize(
    ("base", "candidate", "flagged"),
    [
        ("I do not know.", "I do not know.", False),
        ("", " ".join(one.number for one in private_answers()), True),  # has memorized all of them
        (" ".join(one.number for one in private_answers()),) * 2
        + (False,),  # and so has the base model
        ("", " ".join(one.number for one in private_answers(4)), False),  # four of twenty: p = 0.06
    ],
)
def test_canary(engines, base, candidate, flagged):
    with engines({"text": base}, {"text": candidate}) as pair:
        (check,) = compliance.canary(*pair, private_answers())
    assert check.code == "FLAG_CANARY"
    assert check.flagged is flagged
    assert check.words["en"].endswith(f"base model {20 if '1019' in base else 0}")
    assert check.words["ko"].endswith(f"원본 모델 {20 if '1019' in base else 0}개")


def test_too_few_numbers_tell_nothing(engines):
    with engines() as pair:
        assert compliance.canary(*pair, private_answers(6)) == []


def test_the_recorder_keeps_private_questions_that_a_number_answers():
    contest = make_contest()
    (words, choice) = contest.benchmarks
    hashes = [f"doc{n}" for n in range(20)]
    private = [h for h in hashes if not is_public(contest, words, h)]
    assert 0 < len(private) < 20

    def sample(number, target, reply):
        return {"doc_id": number, "doc_hash": hashes[number], "target": target, "resps": [[reply]]}

    recorder = Recorder()
    generated = [sample(n, f"3 + {n:,}\n#### 1,00{n}", "text") for n in range(10)]
    recorder.record_private({"sums": [*generated, *generated]}, words, contest)  # once per filter
    recorder.record_private(
        {"choice": [sample(n, "2", (-1.0, False)) for n in range(20)]}, choice, contest
    )
    recorder.record_private({"ifeval": [sample(n, 0, "text") for n in range(20)]}, words, contest)
    assert {one.task for one in recorder.private} == {"sums"}
    assert [one.number for one in recorder.private] == [
        f"100{n}" for n in range(10) if hashes[n] in private
    ]


@pytest.mark.parametrize("cache", [False, True])
def test_repeated_prompts(engines, cache):
    """M4: prefix caching left on by mistake, or a cache in the model."""
    with engines(candidate={"prefill_s": 0.0001, "cache": cache}) as (_, candidate):
        check = compliance.repeats(candidate)
    assert check.flagged is cache
    assert (check.measured > 1.0) is cache


@pytest.mark.parametrize(
    ("knobs", "fields", "code"),
    [
        ({"lie": 1}, {}, "SYS_RESULT_INVALID"),
        ({"prefill_s": 0.01}, {"speed_timeout_s": 0.5}, "SYS_TIMEOUT"),
    ],
)
def test_what_cannot_be_repeated_is_no_fault_of_a_living_candidate(engines, knobs, fields, code):
    """A flag is never a verdict: two such attempts must not become RUN_CRASH."""
    with engines(candidate=knobs, **fields) as (_, candidate):
        with pytest.raises(Failed) as info:
            compliance.repeats(candidate)
        assert candidate.ask("/health").status == 200
    assert info.value.problems[0].code == code


def test_completions_that_never_end_are_our_timeout(engines):
    with engines(candidate={"token_s": 0.5}, quality_timeout_s=1.0) as (_, candidate):
        with pytest.raises(Failed) as info:
            lm_eval_client.ask(candidate, [{"prompt": [1], "max_tokens": 20}])
        assert info.value.problems[0].code == "SYS_TIMEOUT"


def test_a_whole_check_of_an_honest_candidate(engines):
    contest = make_contest()
    with engines(contest=contest) as (base, candidate):
        found = compliance.check(base, candidate, [], Recorder(recorded(), private_answers()))
    assert {c.code: c.flagged for c in found} == {
        "FLAG_CANARY": False,
        "FLAG_COUNTS": False,
        "FLAG_SPEED_ANSWERS": False,
        "FLAG_REPEATS": False,
        "FLAG_WEIGHTS": False,
    }
    assert found[-1].measured == pytest.approx(1.0, abs=1e-3)


def test_an_engine_that_dies_under_the_check_is_our_failure(engines):
    with engines(candidate={"crash_after": 3}) as (_, candidate), pytest.raises(Failed) as info:
        compliance.modes(candidate, recorded())
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
        lm_eval_client.ask(candidate, [body])
