"""Benchmarks on prefetched data sets, without a reachable Hub."""

from __future__ import annotations

import dataclasses

import pytest

from grader.assets import copies
from grader.contest import load
from grader.worker.engine.launch import launch
from grader.worker.engine.server import Model
from grader.worker.faults import Cancellation, Failed
from grader.worker.intake import base_model
from grader.worker.measure import accuracy, lm_eval_client
from tests.grader.assets.test_prefetch import hub, prefetch, write_contest  # noqa: F401


def small(file):
    contest = load(file)
    benchmarks = tuple(
        dataclasses.replace(b, limit=4, concurrency=2, max_gen_toks=16)
        for b in contest.benchmarks
        if b.dataset
    )
    object.__setattr__(contest, "benchmarks", benchmarks)
    return contest


@pytest.fixture
def measure(scratch, worker):
    def run(contest, cache):
        lm_eval_client.prepare_process(cache)
        settings = worker({"text": "#### 1"}, {"text": "#### 2"}, cache=cache)
        models = tuple(Model(role, contest.base_folder, 1) for role in ("base", "candidate"))
        with launch(
            models, contest, settings, scratch / "run", "process", Cancellation()
        ) as engines:
            return accuracy.measure(*engines, scratch, lambda _: None), settings

    return run


def test_a_fetched_data_set_is_graded_without_the_hub(hub, prefetch, measure, tmp_path):  # noqa: F811
    file = write_contest(tmp_path / "contest")
    assert prefetch(file).returncode == 0
    hub.shutdown()
    hub.server_close()
    contest = small(file)
    (result,), settings = measure(contest, tmp_path / "cache")
    assert len(result.items) == 4
    found = base_model(contest, settings)
    assert found.folder == copies.base_model(contest, tmp_path / "cache/base_models").folder


def test_a_pinned_data_set_that_is_not_here_is_ours_and_says_the_command(measure, tmp_path):
    contest = small(write_contest(tmp_path / "contest"))
    # tokenizer and template as the organizer would have put them
    demo = load("grader/contests/demo/contest.toml").base_folder
    for name in ("tokenizer.json", "chat_template.jinja"):
        (contest.base_folder / name).write_bytes((demo / name).read_bytes())
    with pytest.raises(Failed) as caught:
        measure(contest, tmp_path / "cache")
    (found,) = caught.value.problems
    assert found.code == "SYS_DATASET"
    assert "run prefetch demo here" in found.detail


def test_nothing_of_it_stays_in_the_library(tmp_path):
    import datasets

    real = datasets.load_dataset
    with accuracy.offline_datasets.in_place(small(write_contest(tmp_path / "c")), tmp_path):
        assert datasets.load_dataset is not real
    assert datasets.load_dataset is real
