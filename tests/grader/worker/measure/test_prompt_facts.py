"""Prompts as they are sent, counted by lm-eval's own client: without an engine, and with a stub's answers."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest

from grader.scoring.trial_findings import prompt_findings
from grader.worker.engine.launch import launch
from grader.worker.engine.server import Model
from grader.worker.faults import Cancellation
from grader.worker.measure import accuracy, lm_eval_client, prompt_facts
from grader.worker.measure.prompt_facts import PromptRecorder
from tests.grader.worker.conftest import make_contest


@pytest.fixture(autouse=True, scope="module")
def _offline(tmp_path_factory):
    lm_eval_client.prepare_process(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def copied(scratch):
    """The contest in a folder of its own, to be spoilt."""
    contest = make_contest()
    shutil.copytree(contest.folder, scratch / "contest")
    object.__setattr__(contest, "folder", scratch / "contest")
    return contest


def test_prompts_are_those_that_are_sent(scratch, worker, monkeypatch):
    """What the survey says of prompts is what an engine gets; its own answers say nothing."""
    contest = make_contest()
    told = []
    found, unknown = prompt_facts.survey(contest, worker(), scratch, lambda *s: told.append(s))
    assert (unknown, {name for name, *_ in told}) == ({}, {"gsm8k", "choice"})
    assert list(prompt_findings(found)) == []
    sent = {}
    post = lm_eval_client._post

    async def spy(client, body, prompt_tokens):
        sent.setdefault(body["max_tokens"] > 1, []).append(tuple(body["prompt"][0]))
        return await post(client, body, prompt_tokens)

    monkeypatch.setattr(lm_eval_client, "_post", spy)
    recorder = PromptRecorder()
    models = (Model("candidate", contest.base_folder, 1),)
    settings = worker(candidate={"text": "seven, I think", "eos_after": 5})
    with launch(models, contest, settings, scratch / "run", "process", Cancellation()) as (own,):
        (scratch / "second").mkdir()
        tasks = accuracy.find_tasks(contest, scratch / "second" / "tasks")
        for benchmark in contest.benchmarks:
            accuracy.run(own, benchmark, tasks, lambda _: None, recorder)
    for surveyed, measured in zip(found, recorder.prompts, strict=True):
        prompts = sent[surveyed.answer_limit_tokens > 0]
        first = surveyed.first
        assert first == measured.first
        assert (surveyed.longest_tokens, surveyed.cut) == (max(map(len, prompts)), 0)
        assert surveyed.requests == len(prompts)
        assert any(
            (p[: len(first.head_ids)], p[-len(first.tail_ids) :], len(p))
            == (first.head_ids, first.tail_ids, first.tokens)
            for p in prompts
        )
    generative, choice = recorder.prompts
    assert (generative.questions, choice.requests, choice.chance) == (6, 24, 0.25)
    assert (generative.answer_limit_tokens, generative.longest_answer_tokens) == (16, 5)
    assert generative.at_limit == 6  # the stub always says that the limit was reached
    assert (generative.without_result, choice.without_result) == (6, None)


def test_what_is_wrong_with_prompts_is_seen_before_they_are_cut(copied, scratch, worker):
    object.__setattr__(copied, "engine", dataclasses.replace(copied.engine, max_model_len=60))
    template = copied.base_folder / "chat_template.jinja"
    template.write_text("{{ bos_token + bos_token }}" + template.read_text("utf-8"), "utf-8")
    config = copied.base_folder / "tokenizer_config.json"
    document = json.loads(config.read_text("utf-8"))
    del document["chat_template"]
    config.write_text(json.dumps(document | {"bos_token": "[|system|]"}), "utf-8")
    facts, unknown = prompt_facts.survey(copied, worker(), scratch)
    assert unknown == {}
    assert [(p.code, p.where) for p in prompt_findings(facts)] == [
        ("TRY_BOS_TWICE", "gsm8k"),
        ("TRY_PROMPTS_CUT", "gsm8k"),
        ("TRY_PROMPTS_CUT", "choice"),
    ]
    generative, choice = facts
    assert (generative.bos_id, generative.most_bos) == (2, 2)
    assert (generative.least_bos, generative.first.tokens) == (0, 43)  # cut off with the head
    assert (generative.budget_tokens, choice.budget_tokens) == (60 - 1 - 16, 59)
    whole = list(_lengths(copied, generative.questions))
    assert generative.longest_tokens == max(whole)
    assert generative.cut == sum(n > 43 for n in whole) > 0
    assert choice.longest_tokens > 59


def _lengths(contest, questions):
    """Of the first questions of the demo's own file, by another way than the grader's."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(contest.base_folder))
    lines = (contest.folder / "data/test.jsonl").read_text("utf-8").splitlines()[:questions]
    for line in lines:
        text = f"Question: {json.loads(line)['question']}\nAnswer:"
        chat = [{"role": "user", "content": text}]
        rendered = tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        yield len(tokenizer(rendered, add_special_tokens=False).input_ids)


def test_what_is_not_on_this_machine_is_named_and_nothing_is_guessed(copied, scratch, worker):
    (copied.folder / "data" / "choice.jsonl").unlink()
    found, unknown = prompt_facts.survey(copied, worker(), scratch)
    assert ([one.benchmark for one in found], list(unknown)) == (["gsm8k"], ["choice"])
    assert "SYS_DATASET" in unknown["choice"]
    for file in copied.base_folder.glob("tokenizer*"):
        file.unlink()
    found, unknown = prompt_facts.survey(copied, worker(), scratch)
    reason = "no tokenizer in base_model, prefetch demo brings it"
    assert (found, unknown) == ((), {"gsm8k": reason, "choice": reason})
