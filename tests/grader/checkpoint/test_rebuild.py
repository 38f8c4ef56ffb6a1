"""What the engine gets: a team chooses nothing in it except numbers."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from grader.checkpoint import Refused, find_problems, rebuild, strictjson, unpack
from grader.contest import Contest
from grader.gallery.case import Bench
from grader.gallery.packing import tar_bytes
from grader.gallery.tiny import ORGANISER
from tests.checkpoints import CONFIG, tiny_contest


@pytest.fixture
def contest(tmp_path: Path) -> Contest:
    return tiny_contest(tmp_path / "contest")


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_folder_holds_the_organisers_files_and_checked_weights(
    contest: Contest, tmp_path: Path
) -> None:
    bench = Bench(contest, tmp_path)
    files = bench.sharded(2) | {
        "tokenizer.json": b"evil",
        "generation_config.json": b"{}",
        "README.md": b"x",
    }
    config = bench.config(eos_token_id=[3, 4], transformers_version="9", _name_or_path="/home/me")
    source = write(tmp_path / "source", files | {"config.json": json.dumps(config).encode()})
    target = tmp_path / "target"
    facts = rebuild(source, target, contest)
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert {p.name for p in target.iterdir()} == {
        "config.json", "model.safetensors.index.json", *shards, *ORGANISER,
    }  # fmt: skip
    for name, data in ORGANISER.items():
        assert (target / name).read_bytes() == data
    assert strictjson.read(target / "config.json") == CONFIG
    assert facts.safetensors_bytes == sum((source / name).stat().st_size for name in shards)
    assert [os.stat(source / n).st_ino for n in shards] == [
        os.stat(target / n).st_ino for n in shards
    ]
    index = json.loads((target / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == {tensor.name for tensor in facts.tensors}
    assert index["metadata"]["total_size"] == sum(t.size_bytes for t in facts.tensors)


def test_names_of_shards_become_canonical(contest: Contest, tmp_path: Path) -> None:
    files = Bench(contest, tmp_path).files()
    files["weights-final_v2.safetensors"] = files.pop("model.safetensors")
    rebuild(write(tmp_path / "source", files), tmp_path / "target", contest)
    assert (tmp_path / "target/model.safetensors").is_file()
    assert not (tmp_path / "target/model.safetensors.index.json").exists()


def test_copied_where_links_do_not_work(
    contest: Contest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    source = write(tmp_path / "source", Bench(contest, tmp_path).files())
    rebuild(source, tmp_path / "target", contest)
    name = "model.safetensors"
    assert (tmp_path / "target" / name).read_bytes() == (source / name).read_bytes()
    assert (tmp_path / "target" / name).stat().st_ino != (source / name).stat().st_ino


def test_content_digest_does_not_depend_on_the_archive(contest: Contest, tmp_path: Path) -> None:
    bench = Bench(contest, tmp_path)
    files = bench.files()
    backwards = dict(reversed(files.items()))
    spaced = files | {
        "config.json": json.dumps(bench.config(eos_token_id=7)).encode(),
        "NOTES.md": b"x",
    }
    archives = [
        bench.write("a", bench.zip(files).read_bytes()),
        bench.write("b", tar_bytes(backwards, top="model/")),
        bench.write("c", gzip.compress(tar_bytes(spaced))),
    ]
    digests = set()
    for archive in archives:
        folder = tmp_path / f"{archive.name}-out"
        assert unpack(archive, folder, contest.limits) == []
        scanned = find_problems(folder, contest, scan=True).facts
        assert scanned is not None
        digests |= {
            scanned.content_sha256,
            rebuild(folder, tmp_path / f"{archive.name}-built", contest).content_sha256,
        }
    assert len(digests) == 1
    other = write(tmp_path / "other", bench.files(intermediate_size=128))
    assert rebuild(other, tmp_path / "other-built", contest).content_sha256 not in digests


def test_quick_look_has_no_digest(contest: Contest, tmp_path: Path) -> None:
    source = write(tmp_path / "source", Bench(contest, tmp_path).files())
    facts = find_problems(source, contest).facts
    assert facts is not None
    assert facts.content_sha256 == ""


def test_refused_checkpoint_is_not_rebuilt(contest: Contest, tmp_path: Path) -> None:
    files = Bench(contest, tmp_path).files()
    source = write(tmp_path / "source", files | {"model.safetensors": b"\x80pickle"})
    with pytest.raises(Refused) as caught:
        rebuild(source, tmp_path / "target", contest)
    assert [p.code for p in caught.value.problems] == ["ST_HEADER"]
    assert not (tmp_path / "target").exists()


def test_nan_is_found_before_an_engine_sees_it(contest: Contest, tmp_path: Path) -> None:
    files = Bench(contest, tmp_path).files()
    data = files["model.safetensors"]
    source = write(tmp_path / "source", files | {"model.safetensors": data[:-2] + b"\xc0\x7f"})
    with pytest.raises(Refused, match="WEIGHTS_NONFINITE"):
        rebuild(source, tmp_path / "target", contest)


def test_full_target_is_the_callers_mistake(contest: Contest, tmp_path: Path) -> None:
    source = write(tmp_path / "source", Bench(contest, tmp_path).files())
    with pytest.raises(FileExistsError):
        rebuild(source, source, contest)


def test_links_and_folders_are_refused(contest: Contest, tmp_path: Path) -> None:
    source = write(tmp_path / "source", Bench(contest, tmp_path).files())
    (source / "model-2.safetensors").symlink_to("/etc/passwd")
    (source / "sub").mkdir()
    (source / ".cache").mkdir()
    codes = {p.code for p in find_problems(source, contest).problems}
    assert codes == {"LAYOUT_NOT_A_FILE", "LAYOUT_SUBFOLDER"}


def test_only_spelling_of_tokenizer_settings_is_no_difference(
    contest: Contest, tmp_path: Path
) -> None:
    files = Bench(contest, tmp_path).files()
    files["generation_config.json"] = (
        b'{"eos_token_id": 1, "bos_token_id": 0, "transformers_version": "5.17.0"}'
    )
    files["tokenizer_config.json"] = (
        b'{"tokenizer_class": "TokenizersBackend", "backend": "tokenizers"}'
    )
    findings = find_problems(write(tmp_path / "source", files), contest)
    assert findings.notices == ()
    (tmp_path / "source/tokenizer_config.json").write_text('{"chat_template": "{{ evil }}"}')
    assert [n.code for n in find_problems(tmp_path / "source", contest).notices] == [
        "TOKENIZER_DIFFERS"
    ]


def test_strict_contest_refuses_another_tokenizer(contest: Contest, tmp_path: Path) -> None:
    from grader import contest as contests

    source = contest.source.replace("[checkpoint]", '[checkpoint]\ntokenizer = "refuse"')
    strict = contests.parse(source, contest.folder)
    files = Bench(contest, tmp_path).files() | {"tokenizer.json": b"{}"}
    assert [p.code for p in find_problems(write(tmp_path / "s", files), strict).problems] == [
        "TOKENIZER_DIFFERS"
    ]
