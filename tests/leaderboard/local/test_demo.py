"""Which base model a demo takes, and what its team enters."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from grader.contest import find, load
from leaderboard.local import demo

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
