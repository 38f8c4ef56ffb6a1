"""Unpacking: the result, and that arbitrary bytes only ever produce a code."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.checkpoint import sniff, unpack
from grader.checkpoint.archives.unpack import Admission
from grader.contest import Contest, Limits
from grader.gallery.packing import Member, members, tar_bytes, zip_bytes
from grader.problems.catalogue import CATALOGUE
from tests.checkpoints import tiny_contest

FILES = {
    "config.json": b"{}",
    "model.safetensors": bytes(range(256)) * 40,
    "README.md": b"# read me",
}
LIMITS = Limits(archive_bytes=1 << 20, unpacked_bytes=1 << 20, submissions_per_day=1, max_files=50)
_fuzz = settings(max_examples=200, deadline=None)

ARCHIVES = {
    "zip": zip_bytes(members(FILES)),
    "zip stored": zip_bytes(members(FILES, method=0)),
    "zip top": zip_bytes(members(FILES, "model/")),
    "tar": tar_bytes(FILES),
    "tar.gz": gzip.compress(tar_bytes(FILES, top="model/"), mtime=0),
}


def unpacked(data: bytes, folder: Path, limits: Limits = LIMITS) -> list[str]:
    path = folder / "upload"
    path.write_bytes(data)
    target = folder / "out"
    problems = unpack(path, target, limits)
    if problems:
        assert list(target.iterdir()) == []
    assert {p.name for p in folder.iterdir()} == {"upload", "out"}
    for path in target.iterdir():
        assert path.lstat().st_mode == stat.S_IFREG | 0o600
    return [problem.code for problem in problems]


@pytest.mark.parametrize("kind", ARCHIVES)
def test_files_come_out_as_they_were(kind: str, tmp_path: Path) -> None:
    assert unpacked(ARCHIVES[kind], tmp_path) == []
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == FILES


@pytest.mark.parametrize(
    ("kind", "expected"), [("zip", "zip"), ("tar", "tar"), ("tar.gz", "tar.gz")]
)
def test_sniff_by_content(kind: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "name.pdf"
    path.write_bytes(ARCHIVES[kind])
    assert sniff(path) == expected
    path.write_bytes(b"%PDF-1.7")
    assert sniff(path) == ""


def test_full_folder_is_the_callers_mistake(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(FileExistsError):
        unpack(tmp_path / "x", tmp_path, LIMITS)


def test_limits(tmp_path: Path) -> None:
    data = zip_bytes(members(FILES))
    small = dataclasses.replace(LIMITS, unpacked_bytes=1000)
    assert unpacked(data, tmp_path, small) == ["ARCHIVE_TOO_LARGE"]
    assert unpacked(data, tmp_path, dataclasses.replace(LIMITS, archive_bytes=100)) == [
        "UPLOAD_TOO_LARGE"
    ]
    assert unpacked(data, tmp_path, dataclasses.replace(LIMITS, max_files=2)) == [
        "ARCHIVE_TOO_MANY_FILES"
    ]
    assert unpacked(ARCHIVES["tar.gz"], tmp_path, small) == ["ARCHIVE_TOO_LARGE"]


def test_bytes_are_counted_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that declares too little does not help: the counter is a second barrier."""
    monkeypatch.setattr(
        Admission,
        "total_bytes",
        property(lambda self: 0, lambda self, value: None),
        raising=False,
    )
    assert unpacked(
        zip_bytes(members(FILES)), tmp_path, dataclasses.replace(LIMITS, unpacked_bytes=1000)
    ) == ["ARCHIVE_TOO_LARGE"]


def test_full_disk_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", rename)
    assert unpacked(ARCHIVES["zip"], tmp_path) == ["SYS_DISK_FULL"]


def test_missing_zstandard_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import zstandard

    data = zstandard.ZstdCompressor().compress(tar_bytes(FILES))
    assert unpacked(data, tmp_path) == []
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert unpacked(data, tmp_path) == ["ARCHIVE_UNSUPPORTED"]


def _clean(folder: Path) -> None:
    for path in (folder / "out").iterdir() if (folder / "out").exists() else ():
        path.unlink()


@_fuzz
@given(
    data=st.binary(max_size=600),
    magic=st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"]),
)
def test_any_bytes_give_a_code(data: bytes, magic: bytes, tmp_path: Path) -> None:
    _clean(tmp_path)
    codes = unpacked(magic + data, tmp_path)
    assert codes
    assert set(codes) <= CATALOGUE.keys()


@_fuzz
@given(
    kind=st.sampled_from(sorted(ARCHIVES)),
    edits=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4
    ),
    cut=st.floats(0, 1),
)
def test_damaged_archives_give_files_or_a_code(
    kind: str, edits: list[tuple[float, int]], cut: float, tmp_path: Path
) -> None:
    _clean(tmp_path)
    data = bytearray(ARCHIVES[kind])
    for at, byte in edits:
        data[int(at * len(data))] = byte
    codes = unpacked(bytes(data[: int(len(data) * (1 - cut / 4))] if cut > 0.5 else data), tmp_path)
    assert set(codes) <= CATALOGUE.keys()
    if not codes and kind.startswith("zip"):  # every byte of a zip member is covered by a checksum
        assert sorted(p.read_bytes() for p in (tmp_path / "out").iterdir()) == sorted(
            FILES.values()
        )


@_fuzz
@given(name=st.binary(min_size=1, max_size=40))
def test_any_name_stays_inside(name: bytes, tmp_path: Path) -> None:
    _clean(tmp_path)
    codes = unpacked(zip_bytes([Member(name, b"x", 0), Member(b"config.json", b"{}")]), tmp_path)
    assert set(codes) <= CATALOGUE.keys()


@pytest.fixture
def contest(tmp_path: Path) -> Contest:
    return tiny_contest(tmp_path)
