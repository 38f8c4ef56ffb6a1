"""Downloading from a Hub on a loopback port as an organizer does: the command in a separate process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grader.assets import copies
from grader.checkpoint import find_problems
from grader.checkpoint.base import base_headers
from grader.contest import find, load
from tests import hub_server

Run = Callable[..., "subprocess.CompletedProcess[str]"]

CARD = """---
configs:
- config_name: main
  data_files:
  - split: train
    path: main/train.jsonl
  - split: test
    path: main/test.jsonl
---
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[hub_server.Hub]:
    """A data set ``org/sums`` and the demo's base model ``org/tiny``, as Hub repositories."""
    demo = find("demo").parent
    data = tmp_path / "published" / "sums"
    (data / "main").mkdir(parents=True)
    (data / "README.md").write_text(CARD)
    for split in ("train", "test"):
        shutil.copyfile(demo / f"data/{split}.jsonl", data / f"main/{split}.jsonl")
    model = tmp_path / "published" / "tiny"
    shutil.copytree(demo / "base_model", model)
    (model / "modeling_tiny.py").write_text("raise SystemExit('never wanted')")
    with hub_server.serve() as server:
        server.add("org/sums", data, "a" * 40)
        server.add("org/tiny", model, "b" * 40)
        yield server


def write_contest(folder: Path, revision: str = "a" * 40) -> Path:
    """The demo contest with its data set and base model on the Hub instead of in its folder."""
    demo = find("demo").parent
    shutil.copytree(demo, folder, ignore=shutil.ignore_patterns("*.py", "model.safetensors"))
    for name in ("tokenizer.json", "chat_template.jinja"):
        (folder / "base_model" / name).unlink()
    (folder / "tasks/demo_gsm8k.yaml").write_text(
        "include: ${LM_EVAL_TASKS}/gsm8k/gsm8k.yaml\n"
        "tag: demo_contest\ntask: demo_gsm8k\ndataset_path: org/sums\ndataset_name: main\n"
    )
    file = folder / "contest.toml"
    text = file.read_text("utf-8")
    text = text.replace(
        'task = "demo_gsm8k"\n',
        f'task = "demo_gsm8k"\ndataset = "org/sums"\nrevision = "{revision}"\n',
    )
    base = load(find("demo")).base_model
    text = text.replace(f'id = "{base.id}"', f'id = "org/tiny"\nrevision = "{"b" * 40}"')
    file.write_text(text, "utf-8")
    return file


@pytest.fixture
def prefetch(hub: hub_server.Hub, tmp_path: Path) -> Run:
    def run(contest: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("HF_", "TRANSFORMERS_", "GRADER_"))
        }
        return subprocess.run(
            [sys.executable, "-m", "grader.assets.prefetch", str(contest), *options],
            env=clean
            | {"HF_ENDPOINT": hub.url, "GRADER_CACHE": str(tmp_path / "cache")}
            | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def test_everything_is_brought_verified_and_not_asked_for_again(
    hub: hub_server.Hub, prefetch: Run, tmp_path: Path
) -> None:
    contest = write_contest(tmp_path / "contest")
    done = prefetch(contest)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("ready to grade offline\n")
    (data,) = copies.data_sets(load(contest), tmp_path / "cache")
    model = copies.base_model(load(contest), tmp_path / "cache/base_models")
    assert data.is_whole()
    assert {p.name for p in data.folder.iterdir()} == {"README.md", "main"}
    assert {p.name for p in model.folder.iterdir()} == {
        p.name for p in (find("demo").parent / "base_model").iterdir()
    }  # no code
    assert (tmp_path / "contest/base_model/tokenizer.json").is_file()  # the organizer's, completed
    assert not (tmp_path / "contest/base_model/model.safetensors").exists()

    asked = len(hub.requests)
    again = prefetch(contest)
    assert again.stdout.count("verified") == 2
    assert len(hub.requests) == asked
    assert prefetch(contest, HF_HUB_OFFLINE="1").returncode == 0


def test_an_interrupted_fetch_goes_on_where_it_stopped(
    hub: hub_server.Hub, prefetch: Run, tmp_path: Path
) -> None:
    contest = write_contest(tmp_path / "contest")
    hidden = hub.repos["org/sums"].folder / "main/train.jsonl"
    data = hidden.read_bytes()
    hub.breaks_after = {"main/train.jsonl": len(data) // 2}
    assert "run prefetch again" in " ".join(prefetch(contest).stderr.split())
    (copy,) = copies.data_sets(load(contest), tmp_path / "cache")
    assert not copy.is_whole()
    hub.breaks_after = {}
    done = prefetch(contest)
    assert done.returncode == 0, done.stderr
    assert (copy.folder / "main/train.jsonl").read_bytes() == data


def test_a_damaged_copy_is_found_and_mended(prefetch: Run, tmp_path: Path) -> None:
    contest = write_contest(tmp_path / "contest")
    assert prefetch(contest).returncode == 0
    (copy,) = copies.data_sets(load(contest), tmp_path / "cache")
    file = copy.folder / "main/test.jsonl"
    good = file.read_bytes()
    file.write_bytes(good[:-2] + b"??")
    assert copy.is_whole()  # not visible from sizes alone
    done = prefetch(contest)
    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == good
    file.unlink()
    assert not copy.is_whole()


@pytest.mark.parametrize(
    ("spoil", "environment", "expected"),
    [
        (lambda hub: hub.repos.pop("org/sums"), {}, "has no dataset org/sums"),
        (lambda hub: setattr(hub.repos["org/sums"], "gated", True), {}, "Accept its terms"),
        (
            lambda hub: setattr(hub.repos["org/sums"], "commit", "c" * 40),
            {},
            "has no revision aaaa",
        ),
        (lambda _: None, {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        (lambda _: None, {"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
def test_what_fails_says_what_to_do(
    spoil: Callable[[hub_server.Hub], object],
    environment: dict[str, str],
    expected: str,
    hub: hub_server.Hub,
    prefetch: Run,
    tmp_path: Path,
) -> None:
    contest = write_contest(tmp_path / "contest")
    spoil(hub)
    done = prefetch(contest, **environment)
    assert done.returncode == 1
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_what_the_hub_lists_is_refused(
    hub: hub_server.Hub, prefetch: Run, tmp_path: Path
) -> None:
    hub.spoils = {"main/test.jsonl"}
    done = prefetch(write_contest(tmp_path / "contest"))
    assert done.returncode == 1
    assert "arrived damaged twice" in done.stderr


def test_a_data_set_without_pin_is_fetched_and_said(prefetch: Run, tmp_path: Path) -> None:
    done = prefetch(write_contest(tmp_path / "contest", revision=""))
    assert done.returncode == 0, done.stderr
    assert f'NOT PINNED; add revision = "{"a" * 40}"' in done.stdout


@pytest.mark.parametrize("revision", ["", "main", "aaaaaaa"])
def test_commits_to_be_written_into_the_contest_are_printed_and_nothing_is_fetched(
    hub: hub_server.Hub, prefetch: Run, tmp_path: Path, revision: str
) -> None:
    """A name and a commit prefix are not pins; pinned copies are not requested again."""
    hub.repos["org/sums"].branches.add("aaaaaaa")
    file = write_contest(tmp_path / "contest", revision=revision)
    assert load(file).unpinned == ("org/sums",)
    done = prefetch(file, "--pin")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'[[benchmarks]] id = "gsm8k": revision = "{"a" * 40}"')
    assert len(done.stdout.splitlines()) == 1
    assert not any("/resolve/" in request.path for request in hub.requests)
    pinned = write_contest(tmp_path / "pinned")
    assert "everything is pinned" in prefetch(pinned, "--pin").stdout


def test_files_that_the_contest_must_bring_itself_are_named(prefetch: Run, tmp_path: Path) -> None:
    contest = write_contest(tmp_path / "contest")
    (tmp_path / "contest/data/choice.jsonl").unlink()
    done = prefetch(contest)
    assert done.returncode == 1
    assert "data/choice.jsonl" in done.stderr


def test_a_manifest_of_another_revision_does_not_count(prefetch: Run, tmp_path: Path) -> None:
    contest = write_contest(tmp_path / "contest")
    assert prefetch(contest).returncode == 0
    (copy,) = copies.data_sets(load(contest), tmp_path / "cache")
    manifest = json.loads(copy.manifest_file.read_text())
    copy.manifest_file.write_text(json.dumps(manifest | {"revision": "c" * 40}))
    assert not copy.is_whole()


def test_headers_alone_make_a_contest_that_can_check(
    hub: hub_server.Hub, prefetch: Run, tmp_path: Path
) -> None:
    contest = write_contest(tmp_path / "contest")
    (tmp_path / "contest/base_model/config.json").unlink()
    done = prefetch(contest, "--headers")
    assert done.returncode == 0, done.stderr
    base = hub.repos["org/tiny"].folder
    assert base_headers(tmp_path / "contest/base_model") == base_headers(base)
    assert not (tmp_path / "contest/base_model/model.safetensors").exists()
    assert find_problems(find("demo").parent / "base_model", load(contest)).problems == ()
    weights = [r for r in hub.requests if r.path.endswith("model.safetensors")]
    assert weights
    assert sum(r.sent_bytes for r in weights) < (base / "model.safetensors").stat().st_size / 10


def test_headers_that_cannot_be_had_are_named(
    hub: hub_server.Hub, prefetch: Run, tmp_path: Path
) -> None:
    contest = write_contest(tmp_path / "contest")
    (hub.repos["org/tiny"].folder / "model.safetensors").write_bytes(b"version https://git-lfs")
    done = prefetch(contest, "--headers")
    assert done.returncode == 1
    assert "ST_LFS_POINTER" in done.stderr
    assert not (tmp_path / "contest/base_model/tensors.json").exists()


def test_prefetch_leaves_the_table_of_what_it_brought(prefetch: Run, tmp_path: Path) -> None:
    contest = write_contest(tmp_path / "contest")
    assert prefetch(contest).returncode == 0
    demo = find("demo").parent / "base_model"
    assert base_headers(tmp_path / "contest/base_model") == base_headers(demo)
