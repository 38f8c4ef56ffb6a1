"""A contest tried on the real engine, cut down to minutes: what only an engine can say of prompts."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest

from grader.scoring import trial_findings
from grader.scoring.trial import assess
from grader.worker import trial
from grader.worker.settings import Settings
from tests.grader.worker.conftest import make_contest, processes_naming

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]


def test_a_contest_is_tried_and_nothing_is_left(scratch):
    contest = make_contest(startup_timeout_s=600, max_half_width=10.0, min_rounds=4, max_rounds=4)
    (gsm8k, choice) = contest.benchmarks
    gsm8k = dataclasses.replace(gsm8k, max_gen_toks=80, public_share=1.0)
    choice = dataclasses.replace(choice, public_share=1.0)
    object.__setattr__(contest, "benchmarks", (gsm8k, choice))
    settings = Settings(scratch=scratch / "s", cache=scratch / "cache")
    seen = []

    @contextlib.contextmanager
    def step(name):
        seen.append(name)
        yield lambda _: None

    found = trial.measure(contest, settings, contest.base_folder, None, step, name="none")

    assert seen == ["base", "template"]
    generative, rated = found.prompts
    assert generative.first.head[0] == "[|user|]"  # by the chat template, with no token in front
    assert (generative.bos_id, generative.most_bos, generative.cut) == (None, 0, 0)
    assert 10 < generative.longest_answer_tokens < 80  # the model ends its answers by itself
    assert (generative.at_limit, generative.without_result) == (0, 0)
    assert (rated.requests, rated.without_result) == (24, None)
    assessed = assess(found, contest, teams=1)
    by_name = {one.benchmark: one for one in assessed.benchmarks}
    assert by_name["gsm8k"].base > by_name["gsm8k"].other.value  # it was trained with its template
    codes = {one.code for one in trial_findings.find(assessed, found, contest, 1)}
    assert "TRY_NO_REFERENCE" in codes
    assert not codes & {"TRY_BOS_TWICE", "TRY_BOS_MISSING", "TRY_PROMPTS_CUT", "TRY_TEMPLATE"}
    assert processes_naming(str(scratch)) == []
