"""Which base model a demo takes, and what its team enters."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from grader.contest import find, load
from leaderboard.local import demo, stack
from leaderboard.models import Worker

DEMO, SMOLLM2 = load(find("demo")), load(find("smollm2"))


def test_weights_in_the_contests_folder_are_taken_where_they_are():
    assert demo.base_model(DEMO, pytest.fail) == DEMO.base_folder


def test_weights_that_an_earlier_run_has_brought_are_taken(settings):
    folder = settings.HOME / "worker/cache/base_models/HuggingFaceTB--SmolLM2-135M-Instruct"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    assert demo.base_model(SMOLLM2, pytest.fail) == folder


def test_weights_that_cannot_be_fetched_are_a_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(demo.DemoError, match=r"SmolLM2-135M-Instruct is not here yet"):
        demo.base_model(SMOLLM2, lambda text: None)


def test_the_team_takes_groups_that_divide_the_models_rows():
    assert demo.team_entry(DEMO).options == (("group_size", "128"),)
    assert demo.team_entry(SMOLLM2).options == (("group_size", "64"),)  # 576 wide


@pytest.mark.django_db
def test_a_contest_that_does_not_exist_is_a_sentence(monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(CommandError, match="no contest named 'smollm3'"):
        call_command("demo", "--contest", "smollm3", "--once")


def test_a_contest_named_by_its_path_is_found_by_its_id(tmp_path):
    named = tmp_path / "drafted" / "contest.toml"
    named.parent.mkdir()
    shutil.copy(find("demo"), named)
    assert find("drafted", *demo.roots(str(named))) == named
    single = tmp_path / "drafted.toml"
    named.rename(single)
    assert find("drafted", *demo.roots(str(single))) == single
    assert demo.roots("smollm2") == []


def test_the_worker_of_the_demo_looks_there_first(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADER_CONTESTS", f"{tmp_path}/own")
    worker = SimpleNamespace(filter=lambda name: SimpleNamespace(first=lambda: None))
    monkeypatch.setattr(Worker.objects, "registered", lambda: worker)
    monkeypatch.setattr(stack.workers, "register", lambda name, by: (None, "a-token"))
    started = {}
    processes = SimpleNamespace(
        folder=lambda prefix: tmp_path,
        start=lambda name, argv, env, patience_s: started.update(env),
    )
    stack.start_gpu_worker(processes, "http://site", roots=[tmp_path / "named"])
    assert started["GRADER_CONTESTS"] == f"{tmp_path}/named{os.pathsep}{tmp_path}/own"
