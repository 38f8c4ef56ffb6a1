"""Compares the header reader with the official parser, and the scan with numpy."""

from __future__ import annotations

import gc
import hashlib
import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open

from grader.checkpoint.finding import Refused
from grader.checkpoint.safetensors import ITEM_BYTES, read_header
from grader.checkpoint.scan import BLOCK_BYTES, scan, scan_values
from tests.checkpoints import Raw, header, safetensors

TENSORS = {
    "b": Raw("BF16", (2, 3), bytes(12)),
    "a.weight": Raw("F32", (4,), bytes(16)),
    "s": Raw("I64", (), bytes(8)),
}
_slow = settings(max_examples=150, deadline=None)


def ours(path: Path) -> dict[str, tuple[int, ...]] | None:
    try:
        return {tensor.name: tensor.shape for tensor in read_header(path)}
    except Refused as refusal:
        assert refusal.problems[0].code.startswith("ST_")
        return None


def official(path: Path) -> dict[str, tuple[int, ...]] | None:
    try:
        with safe_open(path, "np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError):
        return None


def agree(path: Path) -> None:
    """If the official parser rejects a file, so do we; if we accept it, the official parser sees the same."""
    mine = ours(path)
    if mine is not None:
        assert mine == official(path)


def test_names_shapes_and_places(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors(TENSORS))
    assert [tensor.name for tensor in read_header(path)] == ["b", "a.weight", "s"]
    assert ours(path) == official(path)


@_slow
@given(data=st.binary(max_size=400))
@example(data=b"")
@example(data=struct.pack("<Q", 2) + b"{}")
def test_any_bytes(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    agree(path)


@_slow
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255), insert=st.booleans())
def test_mutated_bytes(at: int, byte: int, insert: bool, tmp_path: Path) -> None:
    data = safetensors(TENSORS)
    at %= len(data)
    path = tmp_path / "x.safetensors"
    path.write_bytes(data[:at] + bytes([byte]) + data[at + (not insert) :])
    agree(path)


_dims = st.integers(-1, 5) | st.sampled_from([1 << 31, 1 << 62, 2.0, True, None, "2"])
_offsets = st.integers(-8, 40)
_info = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*ITEM_BYTES, "F4", "q", 3]),
        "shape": st.lists(_dims, max_size=4),
        "data_offsets": st.lists(_offsets, min_size=1, max_size=3),
    },
    optional={"extra": st.none()},
)


@_slow
@given(
    infos=st.lists(st.tuples(st.sampled_from(["a", "b", "", "a\0", "../c"]), _info), max_size=4),
    size=st.integers(0, 40),
    pad=st.text(" \n\0", max_size=3),
)
def test_made_up_headers(infos: list[tuple[str, Any]], size: int, pad: str, tmp_path: Path) -> None:
    entries = ",".join(f"{json.dumps(name)}:{json.dumps(info)}" for name, info in infos)
    head = (f"{{{entries}}}" + pad).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(size))
    agree(path)


@_slow
@given(
    parts=st.lists(
        st.tuples(st.sampled_from(sorted(ITEM_BYTES)), st.lists(st.integers(1, 4), max_size=3)),
        max_size=5,
    )
)
def test_valid_files_are_accepted(parts: list[tuple[str, list[int]]], tmp_path: Path) -> None:
    tensors = {}
    for k, (dtype, shape) in enumerate(parts):
        tensors[f"t{k}"] = Raw(
            dtype, tuple(shape), bytes(int(numpy.prod(shape)) * ITEM_BYTES[dtype])
        )
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors(tensors))
    assert ours(path) == official(path) == {name: tensor.shape for name, tensor in tensors.items()}


def test_official_parser_accepts_what_we_refuse(tmp_path: Path) -> None:
    """Duplicate names: the reason for our own reader."""
    path = tmp_path / "x.safetensors"
    info = json.dumps(header({"a": Raw("U8", (4,), bytes(4))}))[1:-1]
    path.write_bytes(safetensors({"a": Raw("U8", (4,), bytes(4))}, f"{{{info},{info}}}".encode()))
    assert official(path) == {"a": (4,)}
    assert ours(path) is None


@pytest.mark.parametrize("with_numpy", [True, False])
@pytest.mark.parametrize(
    ("dtype", "finite", "bad"),
    [
        ("BF16", b"\x7f\x7f", [b"\x80\x7f", b"\x80\xff", b"\x01\x7f\x80\x7f", b"\xc0\x7f"]),
        ("F16", b"\xff\x7b", [b"\x00\x7c", b"\x00\xfc", b"\x01\x7e"]),
        ("F32", b"\xff\xff\x7f\x7f", [b"\0\0\x80\x7f", b"\0\0\x80\xff", b"\0\0\xc0\x7f"]),
        ("F64", b"\xff" * 6 + b"\xef\x7f", [b"\0" * 6 + b"\xf0\x7f", b"\0" * 6 + b"\xf8\xff"]),
        ("F8_E4M3", b"\x7e", [b"\x7f", b"\xff"]),
        ("F8_E5M2", b"\x7b", [b"\x7c", b"\xfe"]),
        ("I8", b"\xff", []),
        ("U8", b"\xff", []),
    ],
)
def test_scan(
    dtype: str,
    finite: bytes,
    bad: list[bytes],
    with_numpy: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not with_numpy:
        monkeypatch.setitem(sys.modules, "numpy", None)
    path = tmp_path / "x.safetensors"
    size = ITEM_BYTES[dtype]
    count = 40
    tensors = {
        "good": Raw(dtype, (count,), finite * count),
        "zero": Raw(dtype, (count,), bytes(size * count)),
    }
    for k, value in enumerate(b for b in bad if len(b) == size):
        tensors[f"bad{k}"] = Raw(dtype, (count,), finite * (count - 1) + value)
    path.write_bytes(safetensors(tensors))
    (content,) = scan([(path, read_header(path))])
    assert set(content.nonfinite) == tensors.keys() - {"good", "zero"}
    assert content.zero == ("zero",)


@pytest.mark.parametrize("at", [0, BLOCK_BYTES // 2 - 1, BLOCK_BYTES // 2, BLOCK_BYTES])
def test_scan_sees_every_block(at: int, tmp_path: Path) -> None:
    count = BLOCK_BYTES // 2 + 7
    values = numpy.full(count + BLOCK_BYTES, 0x3C00, "<u2")
    values[at] = 0x7F80
    path = tmp_path / "x.safetensors"
    path.write_bytes(
        safetensors(
            {"a": Raw("U8", (3,), b"abc"), "b": Raw("BF16", values.shape, values.tobytes())}
        )
    )
    assert scan_values(path, read_header(path)) == (("b",), ())


def digest(path: Path) -> str:
    (content,) = scan([(path, read_header(path))])
    return content.sha256


def test_digest_is_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors(TENSORS))
    assert digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(safetensors({}))
    assert digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("running", [True, False])
def test_collector_is_as_it_was_afterwards(tmp_path: Path, running: bool) -> None:
    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    good.write_bytes(safetensors({"a": Raw("BF16", (2,), bytes(4))}))
    bad.write_bytes(b"\2\0\0\0\0\0\0\0{]")
    try:
        if not running:
            gc.disable()
        read_header(good)
        assert gc.isenabled() is running
        with pytest.raises(Refused):
            read_header(bad)
        assert gc.isenabled() is running
    finally:
        gc.enable()


def test_minus_zero_is_no_offset(tmp_path: Path) -> None:
    """To Python it is the integer 0, to the official parser a float."""
    path = tmp_path / "x.safetensors"
    text = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[-0,1]}}'
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\1")
    assert official(path) is None
    with pytest.raises(Refused) as caught:
        read_header(path)
    (found,) = caught.value.problems
    assert (found.code, found.where, found.detail) == ("ST_HEADER", path.name, "JSON_NUMBER -0")
