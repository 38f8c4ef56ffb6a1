from __future__ import annotations

import json
import shutil

import pytest

from baseline.checkpoint.contests import rules


@pytest.fixture
def base(tmp_path):
    return shutil.copytree(rules("demo").base_folder, tmp_path / "base")


def test_a_good_checkpoint_and_the_files_that_are_left_out(base, run):
    # The terminal library's markup, if it were interpreted
    (base / "[bold]notes.txt").write_text("")
    code, out, _ = run("check", base, "-c", "demo")
    assert code == 0
    assert "LAYOUT_IGNORED_FILE" in out and "[bold]notes.txt" in " ".join(out.split())
    assert "No problems found" in out


@pytest.fixture
def messy(base, tmp_path):
    """The layout of a snapshot in the Hub's cache, with the files a run leaves next to the weights."""
    folder, blobs = tmp_path / "snapshots" / "main", tmp_path / "blobs"
    folder.mkdir(parents=True)
    base.rename(blobs)
    for path in blobs.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "logs").mkdir()
    (folder / "train.py").write_text("")
    (folder / "model.safetensors.bak.pt").write_text("")
    return folder


def test_a_folder_is_checked_as_it_would_be_packed(messy, run, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    code, out, _ = run("check", messy, "-c", "demo", "--json")
    document = json.loads(out)
    assert (code, document["problems"]) == (0, [])
    (notice,) = document["notices"]
    assert notice["code"] == "LAYOUT_IGNORED_FILE"
    assert notice["detail"] == "logs/, model.safetensors.bak.pt, train.py"
    assert run("package", messy, "-o", tmp_path / "a.tar")[0] == 0
    packed = json.loads(run("check", tmp_path / "a.tar", "-c", "demo", "--json")[1])
    assert packed["content_sha256"] == document["content_sha256"] != ""
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "a.tar"])


def test_what_cannot_be_linked_is_copied(messy, run, monkeypatch):
    def refused(*_):
        raise PermissionError

    monkeypatch.setattr("os.link", refused)
    assert run("check", messy, "-c", "demo")[0] == 0


def test_what_is_wrong_with_the_weights_is_found_behind_links_too(messy, run):
    (messy / "config.json").resolve().write_text("{}")
    code, out, _ = run("check", messy, "-c", "demo")
    assert code == 1 and "LAYOUT" not in out.replace("LAYOUT_IGNORED_FILE", "")


def test_one_mistake_in_many_places_is_told_once(base, run):
    for number in range(30):
        (base / f"folder-{number:02}").mkdir()
    (base / "model.safetensors").rename(base / "folder-00" / "model.safetensors")
    code, out, _ = run("check", base, "-c", "demo")
    assert code == 1
    assert out.count("LAYOUT_SUBFOLDER") == 1
    assert "folder-00/" in out and "folder-05/" in out and "folder-06/" not in out
    assert "and 24 more" in out  # including those the grader only counts
    code, out, _ = run("check", base, "-c", "demo", "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (1, False)
    assert {problem["code"] for problem in found["problems"]} == {"LAYOUT_SUBFOLDER"}


def test_it_speaks_korean(base, run):
    (base / "config.json").unlink()
    code, out, _ = run("check", base, "-c", "demo", "--lang", "ko")
    assert code == 1
    assert "LAYOUT_MISSING_CONFIG: config.json이 없습니다." in out
    assert "→" in out


def test_what_is_not_there(run, tmp_path):
    code, _, err = run("check", tmp_path / "none", "-c", "demo")
    assert code == 2
    assert "CHECKPOINT_NOT_FOUND" in err and "→" in err
    code, _, err = run("check", tmp_path, "-c", "none")
    assert code == 2
    assert "CONTEST_UNKNOWN" in err and "known: aimers8, demo" in err
