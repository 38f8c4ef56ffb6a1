"""The headers of a tar file: what they may say, and that no number of them is expensive."""

from __future__ import annotations

import dataclasses
import gzip
import io
import tarfile
from pathlib import Path

import pytest

from grader.checkpoint import unpack
from grader.checkpoint.archives import tar_reader
from grader.checkpoint.archives.tar_reader import (
    MAX_EXTENSION_BYTES,
    MAX_EXTENSIONS_BYTES,
    TarReader,
)
from grader.checkpoint.finding import Refused
from tests.grader.checkpoint.archives.test_unpack import FILES, LIMITS

SHORTEST = b"5 a=\n"  # most records per byte


class Counted(bytes):
    """Bytes that count what is copied out of them and of their copies."""

    copied_bytes = 0

    def __getitem__(self, key):  # type: ignore[no-untyped-def, override]
        part = super().__getitem__(key)
        if isinstance(part, bytes):
            Counted.copied_bytes += len(part)
            return Counted(part)
        return part

    def partition(self, separator):  # type: ignore[no-untyped-def, override]
        Counted.copied_bytes += len(self)
        head, found, tail = super().partition(separator)
        return Counted(head), found, Counted(tail)


def pax_header(records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, len(records)
    return info.tobuf(tarfile.USTAR_FORMAT) + records + b"\0" * (-len(records) % 512)


def file_entry(name: str) -> bytes:
    return tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT)


def hostile(files: int) -> bytes:
    """Before each file, as many pax records as one header may hold."""
    header = pax_header(SHORTEST * (MAX_EXTENSION_BYTES // len(SHORTEST)))
    return b"".join(header + file_entry(f"{n}.txt") for n in range(files)) + b"\0" * 1024


def refused(data: bytes) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        list(TarReader(io.BytesIO(data), "gz").entries())
    (found,) = caught.value.problems
    return found.code, found.detail


def test_every_byte_of_a_pax_header_is_handled_a_few_times() -> None:
    """Not once per record: the 200,000 records of one header were 105 GB of copies."""
    records = Counted(SHORTEST * (MAX_EXTENSION_BYTES // len(SHORTEST)))
    Counted.copied_bytes = 0
    assert tar_reader._pax(records, b"name") == (b"name", -1)
    assert len(records) < Counted.copied_bytes < 4 * len(records)


def test_headers_of_one_archive_are_limited_together(tmp_path: Path) -> None:
    """The attack: a gzip file of 715 kB with hundreds of full pax headers. Reading ends at the limit."""
    packed = gzip.compress(hostile(400), mtime=0)
    assert len(packed) < 715_000
    assert refused(packed) == (
        "ARCHIVE_CORRUPT",
        f"tar headers of {9 * (MAX_EXTENSION_BYTES // 5 * 5)} B",
    )
    parsed = []
    real = tar_reader._pax
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tar_reader, "_pax", lambda d, n: parsed.append(len(d)) or real(d, n))
        (tmp_path / "attack").write_bytes(packed)
        problems = unpack(
            tmp_path / "attack",
            tmp_path / "out",
            dataclasses.replace(LIMITS, unpacked_bytes=1 << 40, max_files=10_000),
        )
    assert [p.code for p in problems] == ["ARCHIVE_CORRUPT"]
    assert 0 < sum(parsed) <= MAX_EXTENSIONS_BYTES


def test_headers_count_against_the_unpacked_size(tmp_path: Path) -> None:
    archive = tmp_path / "a"
    archive.write_bytes(hostile(1))
    assert not unpack(archive, tmp_path / "out", dataclasses.replace(LIMITS, archive_bytes=2 << 20))
    small = dataclasses.replace(
        LIMITS, archive_bytes=2 << 20, unpacked_bytes=MAX_EXTENSION_BYTES // 2
    )
    problems = unpack(archive, tmp_path / "small", small)
    assert [p.code for p in problems] == ["ARCHIVE_TOO_LARGE"]


def test_pax_records_are_read(tmp_path: Path) -> None:
    """Long names, sizes and attributes, as Python's own writer puts them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = len(data), {"SCHILY.xattr.user.note": "ä = b " * 300}
            tar.addfile(info, io.BytesIO(data))
        long = "l" * 200 + ".md"
        tar.addfile(tarfile.TarInfo(long))
    (tmp_path / "a").write_bytes(buffer.getvalue())
    assert unpack(tmp_path / "a", tmp_path / "out", LIMITS) == []
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == {**FILES, long: b""}


@pytest.mark.parametrize(
    "records",
    [
        b"5 a=\n5 a=",
        b"6 a=\n",
        b"4 a=\n",
        b"0 a=\n",
        b"2 \n",
        b" a=\n",
        b"-5 a=\n",
        b"+5 a=\n",
        b"5a=\n",
        b"5",
        b"5 abc",
        b"5 ab\n",
        b"99999999 a=\n",
        "٥ a=\n".encode(),
        b"\0" * 20,
    ],
)
def test_malformed_records_are_refused(records: bytes) -> None:
    data = pax_header(records) + file_entry("a") + b"\0" * 1024
    assert refused(gzip.compress(data)) == ("ARCHIVE_CORRUPT", "pax header")


@pytest.mark.parametrize("value", [b"-1", b"", b"1" * 19, b"1.0", b" 1"])
def test_malformed_sizes_are_refused(value: bytes) -> None:
    body = b" size=" + value + b"\n"
    record = b"%d" % (len(body) + (2 if len(body) > 7 else 1)) + body
    data = pax_header(record) + file_entry("a") + b"\0" * 1024
    assert refused(gzip.compress(data)) == ("ARCHIVE_CORRUPT", "pax size")
