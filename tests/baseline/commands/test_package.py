from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile

import pytest

from baseline.checkpoint.packaging import members, pack
from grader.contest import Limits


def test_the_same_checkpoint_gives_the_same_bytes_whatever_its_dates_and_modes(
    checkpoint, tmp_path
):
    first = pack(checkpoint, tmp_path / "one.tar")
    copy = shutil.copytree(checkpoint, tmp_path / "elsewhere")
    os.utime(copy / "config.json", (1, 1))
    (copy / "model.safetensors").chmod(0o600)
    (copy / "notes.txt").write_text("not of the contest's business")
    second = pack(copy, tmp_path / "two.tar")
    assert first.sha256 == second.sha256 == hashlib.sha256(second.path.read_bytes()).hexdigest()
    assert second.left_out == ("notes.txt", "tokenizer.json")


def test_entries_are_sorted_and_anonymous(checkpoint, tmp_path):
    packed = pack(checkpoint, tmp_path / "a.tar")
    with tarfile.open(packed.path) as tar:
        entries = tar.getmembers()
    assert [e.name for e in entries] == ["config.json", "model.safetensors"]
    assert {(e.mtime, e.uid, e.gid, e.uname, e.gname, e.mode) for e in entries} == {
        (0, 0, 0, "", "", 0o644)
    }
    assert packed.size_bytes == packed.path.stat().st_size


def test_shards_come_from_the_index(checkpoint, tmp_path):
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        shutil.copy(checkpoint / "model.safetensors", checkpoint / name)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors",
                            "b": "model-00002-of-00002.safetensors"}}  # fmt: skip
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    packed = pack(checkpoint, tmp_path / "a.tar")
    assert "model.safetensors" in packed.left_out
    assert packed.files[1:3] == tuple(index["weight_map"].values())
    (checkpoint / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(Exception, match="model-00002-of-00002"):
        members(checkpoint)


def test_an_index_that_points_outside_is_refused(checkpoint, run, tmp_path):
    index = {"weight_map": {"a": "../secret.safetensors"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    code, _, err = run("package", checkpoint, "-o", tmp_path / "a.tar")
    assert (code, "points outside" in err) == (2, True)


@pytest.mark.parametrize("absent", ["config.json", "model.safetensors"])
def test_an_incomplete_folder_is_one_line_and_leaves_nothing(checkpoint, absent, run, tmp_path):
    (checkpoint / absent).unlink()
    code, out, err = run("package", checkpoint, "-o", tmp_path / "a.tar")
    assert code == 2
    assert out == ""
    assert err.splitlines()[1].startswith("  →")
    assert not (tmp_path / "a.tar").exists()


def test_an_existing_archive_is_kept_unless_forced(checkpoint, run, tmp_path):
    archive = tmp_path / "a.tar"
    archive.write_text("mine")
    assert run("package", checkpoint, "-o", archive)[0] == 2
    assert archive.read_text() == "mine"
    code, out, _ = run("package", checkpoint, "-o", archive, "--force", "--json")
    assert (code, json.loads(out)["sha256"]) == (
        0,
        hashlib.sha256(archive.read_bytes()).hexdigest(),
    )


def test_the_grader_unpacks_what_we_pack(checkpoint, tmp_path):
    unpack = pytest.importorskip("grader.checkpoint").unpack
    packed = pack(checkpoint, tmp_path / "a.tar")
    folder = tmp_path / "unpacked"
    assert unpack(packed.path, folder, Limits(1 << 20, 1 << 20, 1)) == []
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        name: (checkpoint / name).read_bytes() for name in packed.files
    }


def test_the_archive_is_not_written_over_the_weights_nor_over_a_folder(checkpoint, run, tmp_path):
    weights = checkpoint / "model.safetensors"
    before = weights.read_bytes()
    code, _, err = run("package", checkpoint, "-o", weights, "--force")
    assert (code, "OUTPUT_IS_SOURCE" in err, weights.read_bytes()) == (2, True, before)
    code, _, err = run("package", checkpoint, "-o", tmp_path, "--force")
    assert (code, "OUTPUT_IS_A_FOLDER" in err) == (2, True)


def test_a_path_with_the_terminals_markup_is_shown_as_it_is(checkpoint, run, tmp_path):
    archive = tmp_path / "[/bold] a.tar"
    code, out, _ = run("package", checkpoint, "-o", archive)
    assert (code, str(archive) in out) == (0, True)
    folder = checkpoint.rename(tmp_path / "[/bold] x")
    code, out, _ = run("inspect", folder)
    assert (code, str(folder) in out) == (0, True)
