"""Likelihoods of right answers, with stubs: which answers, from which engine, and nothing where there is no
twin."""

from __future__ import annotations

import dataclasses
import json

import pytest

from grader.worker.engine.launch import launch
from grader.worker.engine.server import Model
from grader.worker.faults import Cancellation, Failed, Rejected
from grader.worker.measure import accuracy, likelihoods, lm_eval_client
from grader.worker.measure.recorder import Recorder, RightAnswer, right_answer
from tests.grader.worker.conftest import make_contest


@pytest.fixture(autouse=True, scope="module")
def _offline(tmp_path_factory):
    lm_eval_client.prepare_process(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def engines(scratch, worker):
    def begin(base=None, candidate=None, contest=None):
        contest = contest or make_contest()
        models = tuple(Model(role, contest.base_folder, 1) for role in ("base", "candidate"))
        settings = worker(base, candidate)
        return launch(models, contest, settings, scratch / "run", "process", Cancellation())

    return begin


def some(**benchmarks):
    return Recorder(
        right={
            name: tuple(RightAnswer(i, (5, 6, 7), (8,) * tokens) for i in range(3))
            for name, tokens in benchmarks.items()
        }
    )


def test_both_engines_are_asked_and_figures_are_per_token(engines):
    with engines({"logprob": -0.5}, {"logprob": -2.0}) as (base, candidate):
        gsm8k, fresh = likelihoods.measure(base, candidate, some(gsm8k=4, fresh=2))
    assert (gsm8k.benchmark, fresh.benchmark) == ("gsm8k", "fresh")
    assert [(i.doc_id, i.tokens, i.nll, i.base_nll) for i in fresh.items] == [
        (n, 2, 2.0, 0.5) for n in range(3)
    ]
    assert {item.tokens for item in gsm8k.items} == {4}


def test_a_contest_without_twins_asks_nothing(engines):
    assert make_contest().twins == ()
    with engines(candidate={"crash_after": 1}) as (base, candidate):
        assert likelihoods.measure(base, candidate, Recorder()) == ()
        assert candidate.is_running


def test_nan_is_the_candidates_fault_and_null_nobodys(engines):
    with engines(candidate={"nan_after": 1}) as (base, candidate), pytest.raises(Rejected) as info:
        likelihoods.measure(base, candidate, some(gsm8k=4))
    assert [problem.code for problem in info.value.problems] == ["RUN_NONFINITE"]


def test_another_number_of_values_than_tokens_is_an_invalid_answer(engines, monkeypatch):
    check = lm_eval_client._check

    def short(answer, max_tokens, generate):
        check(answer, max_tokens, generate)
        answer["choices"][0]["logprobs"]["token_logprobs"].pop()

    with engines() as (base, candidate):
        monkeypatch.setattr(lm_eval_client, "_check", short)
        with pytest.raises(Failed) as info:
            likelihoods.measure(base, candidate, some(gsm8k=4))
    assert [problem.code for problem in info.value.problems] == ["SYS_ENGINE_DIED"]


def test_the_accuracy_run_records_right_answers_of_a_benchmark_and_its_twin(engines, scratch):
    contest = make_contest(twins=True)
    with engines(contest=contest) as (base, candidate):
        recorder = Recorder()
        accuracy.measure(base, candidate, scratch, lambda _: None, recorder)
    assert set(recorder.right) == {"gsm8k", "fresh"}
    assert {one.task for one in recorder.private} == {"demo_gsm8k"}  # no canary of a twin

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(contest.base_folder))
    lines = (contest.folder / "data/fresh.jsonl").read_text("utf-8").splitlines()
    for one in recorder.right["fresh"]:
        question = json.loads(lines[one.doc_id])
        assert tokenizer.decode(one.answer).strip() == question["answer"]
        assert question["question"] in tokenizer.decode(one.context)


def test_at_most_the_contests_number_is_drawn(engines, scratch):
    contest = make_contest(twins=True)
    rules = dataclasses.replace(contest.compliance, likelihood_questions=2)
    object.__setattr__(contest, "compliance", rules)
    with engines(contest=contest) as (base, candidate):
        recorder = Recorder()
        accuracy.measure(base, candidate, scratch, lambda _: None, recorder)
    assert {name: len(answers) for name, answers in recorder.right.items()} == {
        "gsm8k": 2,
        "fresh": 2,
    }


GENERATED = {"resps": [["words"]], "arguments": [("ask", {})]}
CHOICE = {
    "resps": [[(-1.0, False)], [(-2.0, False)]],
    "arguments": [("ask", " yes"), ("ask", " no")],
}


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ({**GENERATED, "target": "1 + 1 = 2\n#### 2"}, ("ask", "1 + 1 = 2\n#### 2")),
        ({**GENERATED, "target": 0}, None),  # ifeval: rules, no answer
        ({**GENERATED, "target": " "}, None),
        ({**CHOICE, "target": 1}, ("ask", " no")),
        ({**CHOICE, "target": "no"}, ("ask", " no")),
        ({**CHOICE, "target": "perhaps"}, None),
        ({**CHOICE, "target": 7}, None),
        ({**CHOICE, "target": [0, 1]}, None),
    ],
)
def test_the_right_answer_of_a_question(sample, expected):
    assert right_answer(sample, make_contest().benchmarks[0]) == expected


def test_without_a_chat_template_a_space_comes_before_the_answer():
    plain = dataclasses.replace(make_contest().benchmarks[0], apply_chat_template=False)
    assert right_answer({**GENERATED, "target": "4"}, plain) == ("ask", " 4")
