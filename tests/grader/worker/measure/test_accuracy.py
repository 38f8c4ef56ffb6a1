"""lm-eval's real pipeline with stubs: prompts, scoring, pairing, the stored base run, hostile answers."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from grader.worker.engine.launch import launch
from grader.worker.engine.server import Model
from grader.worker.faults import Cancellation, Cancelled, Failed, Rejected
from grader.worker.measure import accuracy, base_runs, lm_eval_client
from grader.worker.measure.recorder import Recorder
from tests.grader.worker.conftest import make_contest


@pytest.fixture(autouse=True, scope="module")
def _offline(tmp_path_factory):
    lm_eval_client.prepare_process(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def engines(scratch, worker):
    def begin(base=None, candidate=None, contest=None, cancel=None, **fields):
        contest = contest or make_contest()
        settings = worker(base, candidate, **fields)
        models = tuple(Model(role, contest.base_folder, 1) for role in ("base", "candidate"))
        return launch(
            models, contest, settings, scratch / "run", "process", cancel or Cancellation()
        )

    return begin


def only(contest, *ids):
    """The contest with only these benchmarks."""
    object.__setattr__(contest, "benchmarks", tuple(b for b in contest.benchmarks if b.id in ids))
    return contest


def test_both_benchmarks_paired_and_the_base_run_stored(engines, scratch):
    first = (make_contest().folder / "data/test.jsonl").read_text("utf-8").partition("\n")[0]
    gold = json.loads(first)["answer"].split("####")[1].strip()
    told = []
    knobs = {"base": {"text": "#### nothing"}, "candidate": {"text": f"#### {gold}"}}
    with engines(**knobs) as (base, candidate):
        recorder = Recorder()
        results = accuracy.measure(base, candidate, scratch, told.append, recorder)
        assert {(one.task, one.number.isdigit()) for one in recorder.private} == {
            ("demo_gsm8k", True)
        }
        assert [one.text for one in recorder.answers] == [
            f"#### {gold}"
        ] * 6  # the candidate's answers of a generative task
        generative, choice = results
        assert (generative.benchmark, len(generative.items)) == ("gsm8k", 6)
        assert generative.items[0].value == 1.0
        assert generative.value >= 1 / 6 > generative.base_value == 0.0
        assert generative.mean_output_chars == len(f"#### {gold}")
        assert (choice.benchmark, len(choice.items)) == ("choice", 6)
        assert choice.value == choice.base_value  # same stub, same likelihoods
        assert [i.doc_id for i in generative.items] == list(range(6))
        assert len({i.prompt_hash for i in generative.items}) == 6
        assert {p.note for p in told} == {"gsm8k", "gsm8k (base)", "choice", "choice (base)"}
        # Four likelihoods per question
        assert max(p.done for p in told if p.note == "choice") == 24

        stored = sorted((scratch / "cache" / "base" / "demo").glob("*.json"))
        assert len(stored) == 2
        told.clear()
        (scratch / "again").mkdir()
        again = accuracy.measure(base, candidate, scratch / "again", told.append)
        assert {p.note for p in told} == {"gsm8k", "choice"}  # the base model was not asked again
        assert [r.items for r in again] == [r.items for r in results]


def test_a_stored_run_over_other_prompts_is_measured_again(engines, scratch):
    contest = only(make_contest(), "choice")
    with engines(contest=contest) as (base, candidate):
        accuracy.measure(base, candidate, scratch, lambda _: None)
        (file,) = (scratch / "cache" / "base" / "demo").glob("*.json")
        document = json.loads(file.read_text())
        document["answers"][0]["prompt_hash"] = "stale"
        file.write_text(json.dumps(document))
        told = []
        (scratch / "again").mkdir()
        (result,) = accuracy.measure(base, candidate, scratch / "again", told.append)
        assert "choice (base)" in {p.note for p in told}
        assert result.items[0].prompt_hash != "stale"
        file.write_text("{broken")
        assert base_runs.read(file) is None


def test_a_changed_task_makes_the_base_models_run_anew(engines, scratch):
    """The contest file is the same after a filter, a metric or the chat template is fixed."""
    folder = scratch / "contest"
    shutil.copytree(make_contest().folder, folder)
    contest = only(make_contest(), "gsm8k")
    object.__setattr__(contest, "folder", folder)
    with engines(contest=contest) as (base, _):
        first = base_runs.path(base, contest.benchmarks[0], {})
        assert base_runs.path(base, contest.benchmarks[0], {}) == first
        task = next((folder / contest.tasks).rglob("*.yaml"))
        task.write_text(task.read_text("utf-8") + "\n# mended\n", "utf-8")
        second = base_runs.path(base, contest.benchmarks[0], {})
        (contest.base_folder / "chat_template.jinja").write_text("{{ messages }}")
        third = base_runs.path(base, contest.benchmarks[0], {})
        other = dataclasses.replace(base.settings, engine=["another", "engine"])
        object.__setattr__(base, "settings", other)
        fourth = base_runs.path(base, contest.benchmarks[0], {})
    assert len({first, second, third, fourth}) == 4


def test_thinking_reaches_the_chat_template(engines, scratch, monkeypatch):
    contest = only(make_contest(), "gsm8k")
    seen = []
    post = lm_eval_client._post

    async def spy(client, body, prompt_tokens):
        seen.append(body["prompt"][0])
        return await post(client, body, prompt_tokens)

    monkeypatch.setattr(lm_eval_client, "_post", spy)
    with engines(contest=contest) as (_, candidate):
        tasks = accuracy.find_tasks(contest, scratch / "tasks")
        thinking = dataclasses.replace(contest.benchmarks[0], limit=1, enable_thinking=True)
        accuracy.run(
            candidate, dataclasses.replace(thinking, enable_thinking=False), tasks, lambda _: None
        )
        accuracy.run(candidate, thinking, tasks, lambda _: None)
    assert len(seen) == 2
    assert seen[0] != seen[1]
    assert all(isinstance(token, int) for token in seen[0])


@pytest.mark.parametrize(
    ("knobs", "code"),
    [
        ({"crash_after": 3}, "SYS_ENGINE_DIED"),
        ({"huge": 3_000_000}, "SYS_ENGINE_DIED"),
        ({"hang_after": 3}, "SYS_ENGINE_DIED"),
    ],
)
def test_an_engine_that_breaks_during_the_run(engines, scratch, knobs, code):
    # the probe is a separate request
    with (
        engines(candidate=knobs, contest=only(make_contest(), "gsm8k"), silence_s=3.0) as (
            base,
            candidate,
        ),
        pytest.raises(Failed) as info,
    ):
        accuracy.measure(base, candidate, scratch, lambda _: None)
    assert (info.value.problems[0].code, info.value.problems[0].where) == (code, "candidate")


def test_a_candidate_that_takes_for_ever(engines, scratch):
    knobs = {"token_s": 3.0}
    with (
        engines(candidate=knobs, contest=only(make_contest(), "gsm8k"), quality_timeout_s=15.0) as (
            base,
            candidate,
        ),
        pytest.raises(Rejected) as info,
    ):
        pids = candidate.pids
        accuracy.measure(base, candidate, scratch, lambda _: None)
    assert info.value.problems[0].code == "RUN_TIMEOUT"
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_where_the_base_model_is_as_slow_the_timeout_is_ours(engines, scratch):
    """Six questions of 16 tokens, four at a time: the base model takes 3.2 s of the 5."""
    with (
        engines(
            base={"token_s": 0.1},
            candidate={"token_s": 3.0},
            contest=only(make_contest(), "gsm8k"),
            quality_timeout_s=5.0,
        ) as (base, candidate),
        pytest.raises(Failed) as info,
    ):
        accuracy.measure(base, candidate, scratch, lambda _: None)
    assert info.value.problems[0].code == "SYS_TIMEOUT"


def test_half_a_character_is_no_text(engines, scratch):
    """JSON can encode one, but nothing that stores or forwards it can."""
    with engines(candidate={"text": "\ud800 42"}, contest=only(make_contest(), "gsm8k")) as (
        _,
        candidate,
    ):
        body = {"prompt": [1, 2], "max_tokens": 4}
        assert lm_eval_client.ask(candidate, [body]) == ["? 42"]


def test_a_candidate_that_computes_nan_in_the_middle(engines, scratch):
    with (
        engines(candidate={"nan_after": 5}, contest=only(make_contest(), "choice")) as engine,
        pytest.raises(Rejected) as info,
    ):
        accuracy.measure(*engine, scratch, lambda _: None)
    assert (info.value.problems[0].code, info.value.problems[0].where) == ("RUN_NONFINITE", "")


def test_a_long_text_is_cut(engines, scratch):
    with engines(candidate={"text": "x" * 60_000}, contest=only(make_contest(), "gsm8k")) as (
        base,
        candidate,
    ):
        (result,) = accuracy.measure(base, candidate, scratch, lambda _: None)
    assert result.mean_output_chars == lm_eval_client.CHARS_PER_TOKEN * 16


def test_missing_data_is_our_fault(engines, scratch):
    contest = only(make_contest(), "gsm8k")
    tasks = accuracy.find_tasks(contest, scratch / "tasks")
    unknown = dataclasses.replace(contest.benchmarks[0], task="nothing")
    with engines(contest=contest) as (_, candidate), pytest.raises(Failed) as info:
        accuracy.run(candidate, unknown, tasks, print)
    assert info.value.problems[0].code == "SYS_DATASET"


def test_a_metric_that_does_not_exist_is_our_fault():
    sample = {"filter": "none", "doc_id": 0, "metrics": ["acc"], "resps": [], "acc": 1.0,
              "doc_hash": "d", "prompt_hash": "p"}  # fmt: skip
    with pytest.raises(Failed, match="it has acc"):
        accuracy.read_samples({"task": [sample]}, "exact_match,none")
    with pytest.raises(Failed, match="no questions with this filter"):
        accuracy.read_samples({"task": [sample]}, "acc,strict")
    (answer,) = accuracy.read_samples({"task": [sample]}, "acc,none")
    assert answer.value == 1.0


def test_a_group_of_tasks_is_numbered_through():
    def sample(number):
        return {"filter": "none", "doc_id": number, "metrics": ["acc"], "resps": [["ab"]], "acc": 1.0,
                "doc_hash": f"d{number}", "prompt_hash": "p"}  # fmt: skip

    answers = accuracy.read_samples({"b": [sample(0)], "a": [sample(1), sample(0)]}, "acc,none")
    assert [a.doc_id for a in answers] == [0, 1, 2]
    assert answers[0].output_chars == 2


def test_cancelling_in_the_middle(engines, scratch):
    cancel = Cancellation()

    def stop_at_three(progress):
        if progress.done >= 3:
            cancel.cancel("lease lost")
        cancel.check()

    with (
        engines(contest=only(make_contest(), "gsm8k"), cancel=cancel) as (base, candidate),
        pytest.raises(Cancelled, match="lease lost"),
    ):
        accuracy.measure(base, candidate, scratch, stop_at_three)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": []},
        {"choices": [1]},
        {"choices": [{"text": 5}]},
        {"choices": [{"text": "a"}]},
        {
            "choices": [
                {"text": "a", "logprobs": {"token_logprobs": [None, -1.0], "top_logprobs": [None]}}
            ]
        },
        {
            "choices": [
                {
                    "text": "a",
                    "logprobs": {"token_logprobs": [None, -1.0], "top_logprobs": [None, {}]},
                }
            ]
        },
        {
            "choices": [
                {
                    "text": "a",
                    "logprobs": {
                        "token_logprobs": [None, None],
                        "top_logprobs": [None, {"x": None}],
                    },
                }
            ]
        },
    ],
)
def test_answers_that_cannot_be_used(answer):
    with pytest.raises(lm_eval_client.AnswerError):
        lm_eval_client._check(answer, 4, generate=False)
