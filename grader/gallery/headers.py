"""Cases about safetensors headers and the index: files that are not what they claim."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from grader.gallery import tiny
from grader.gallery.case import Bench, Case
from grader.gallery.packing import members, zip_bytes
from grader.gallery.tiny import Json, Raw

_WEIGHTS = "model.safetensors"
_NORM = "model.norm.weight"


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Bench], Path]:
    return lambda b: b.with_file(_WEIGHTS, change(b.files()[_WEIGHTS]))


def _header(change: Callable[[Json], object]) -> Callable[[Bench], Path]:
    """Change the header as an object."""

    def build(bench: Bench) -> Path:
        tensors = tiny.weights(bench.config())
        header = tiny.header(tensors)
        change(header)
        return bench.with_file(_WEIGHTS, tiny.safetensors(tensors, json.dumps(header).encode()))

    return build


def _splice(text: str) -> Callable[[Bench], Path]:
    """Insert raw text before the header's first key."""

    def build(bench: Bench) -> Path:
        tensors = tiny.weights(bench.config())
        head = "{" + text + "," + json.dumps(tiny.header(tensors))[1:]
        return bench.with_file(_WEIGHTS, tiny.safetensors(tensors, head.encode()))

    return build


def _set(name: str, key: str, value: object) -> Callable[[Bench], Path]:
    return _header(lambda header: header[name].update({key: value}))


def _shift(first: int, last: int) -> Callable[[Bench], Path]:
    """Move both offsets of the last tensor."""

    def change(header: Json) -> None:
        offsets = header[max(header, key=lambda n: header[n]["data_offsets"][0])]["data_offsets"]
        offsets[0] += first
        offsets[1] += last

    return _header(change)


def _length(value: int) -> Callable[[Bench], Path]:
    return _bytes(lambda data: struct.pack("<Q", value) + data[8:])


def _index(change: Callable[[Json], object]) -> Callable[[Bench], Path]:
    """Write two shards and a changed weight_map."""

    def build(bench: Bench) -> Path:
        files = bench.sharded(2)
        name = "model.safetensors.index.json"
        index = json.loads(files[name])
        change(index["weight_map"])
        return bench.zip(files | {name: json.dumps(index).encode()})

    return build


def _listed(file: object) -> Callable[[Bench], Path]:
    """Make the index name another file for one tensor."""
    return _index(lambda weight_map: weight_map.update({_NORM: file}))


def _shards(change: Callable[[dict[str, bytes]], object]) -> Callable[[Bench], Path]:
    def build(bench: Bench) -> Path:
        files = bench.sharded(2)
        change(files)
        return bench.zip(files)

    return build


def _many_tensors(bench: Bench) -> Path:
    entries = ",".join(
        f'"t{k}":{{"dtype":"U8","shape":[1],"data_offsets":[{k},{k + 1}]}}' for k in range(110_000)
    )
    head = f"{{{entries}}}".encode()
    return bench.with_file(_WEIGHTS, struct.pack("<Q", len(head)) + head + bytes(110_000))


def _large_header(bench: Bench) -> Path:
    head = b'{"__metadata__":{"a":"' + b"b" * (20 << 20) + b'"}}'
    files = bench.files() | {_WEIGHTS: struct.pack("<Q", len(head)) + head}
    return bench.write("s.zip", zip_bytes(members(files, method=0)))


def cases() -> Iterator[Case]:
    for name, length in {
        "0": 0,
        "2-63": 1 << 63,
        "2-64": (1 << 64) - 1,
        "100-mb": 100_000_001,
        "beyond": 1 << 24,
    }.items():
        yield Case(f"header-length-{name}", "ST_HEADER", _length(length))
    for name, data in {
        "empty": b"",
        "short": b"1234567",
        "html": b"<html>404</html>",
        "zip": b"PK\3\4" * 9,
    }.items():
        yield Case(f"weights-{name}", "ST_HEADER", _bytes(lambda _, data=data: data))  # type: ignore[misc]
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2558821288\n"
    yield Case("weights-lfs-pointer", "ST_LFS_POINTER", lambda b: b.with_file(_WEIGHTS, pointer))
    yield Case("header-not-json", "ST_HEADER", _bytes(lambda d: d[:8] + b"{" * 40 + d[48:]))
    yield Case("header-deep", "ST_HEADER", _splice('"x":' + "[" * 3000 + "]" * 3000))
    yield Case("metadata-not-text", "ST_HEADER", _splice('"__metadata__":{"a":1}'))
    yield Case("trailing-bytes", "ST_OFFSETS", _bytes(lambda d: d + bytes(8)))
    yield Case("truncated-data", "ST_OFFSETS", _bytes(lambda d: d[:-8]))
    yield Case("hole", "ST_OFFSETS", _shift(8, 8))
    yield Case("overlap", "ST_OFFSETS", _shift(-8, -8))
    yield Case("reversed-offsets", "ST_OFFSETS", _set(_NORM, "data_offsets", [8, 0]))
    yield Case("negative-offset", "ST_OFFSETS", _set(_NORM, "data_offsets", [-256, 0]))
    yield Case("three-offsets", "ST_OFFSETS", _set(_NORM, "data_offsets", [0, 8, 16]))
    yield Case("offsets-of-floats", "ST_OFFSETS", _set(_NORM, "data_offsets", [0.0, 256.0]))
    for name, key, value in (
        ("shape-too-small", "shape", [1]),
        ("shape-overflow", "shape", [1 << 31, 1 << 31, 1 << 31]),
        ("shape-zero", "shape", [0]),
        ("shape-negative", "shape", [-128]),
        ("shape-float", "shape", [128.0]),
        ("shape-true", "shape", [True, 128]),
        ("shape-rank-1000", "shape", [1] * 1000),
        ("dtype-unknown", "dtype", "Q4_K"),
        ("dtype-number", "dtype", 16),
        ("extra-field", "strides", [1]),
    ):
        yield Case(f"tensor-{name}", "ST_TENSOR_INFO", _set(_NORM, key, value))
    again = '"model.norm.weight":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}'
    yield Case("tensor-twice", "ST_DUPLICATE_TENSOR", _splice(again))
    for name in ("", "a\\u0000b", "n" * 10_000, "../x", "model.norm.weight\\n"):
        text = f'"{name}":{{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
        yield Case(f"tensor-name-{name[:12]}", "ST_TENSOR_NAME", _splice(text))
    yield Case("tensors-110000", "ST_TOO_MANY_TENSORS", _many_tensors)
    yield Case("header-20-mb", "ST_TOO_MANY_TENSORS", _large_header)

    for name, file in {
        "up": "../x.safetensors",
        "absolute": "/x.safetensors",
        "folder": "a/x",
    }.items():
        yield Case(f"index-path-{name}", "INDEX_PATH", _listed(file))
    yield Case("index-missing-file", "INDEX_MISSING_FILE", _listed("x.safetensors"))
    yield Case("index-number", "INDEX_INVALID", _listed(1))
    yield Case("index-tensor-not-listed", "INDEX_MISMATCH", _index(lambda m: m.pop(_NORM)))
    yield Case(
        "index-tensor-not-held", "INDEX_MISMATCH", _index(lambda m: m.update({"y": m[_NORM]}))
    )
    first, second = (f"model-0000{k}-of-00002.safetensors" for k in (1, 2))
    other = _index(lambda m: m.update({_NORM: second if m[_NORM] == first else first}))
    yield Case("index-wrong-shard", "INDEX_MISMATCH", other)
    one = tiny.safetensors({"extra": Raw("BF16", (1,), b"\0<")})
    yield Case(
        "shard-not-in-index",
        "INDEX_MISMATCH",
        _shards(lambda f: f.update({"model-9.safetensors": one})),
    )
    yield Case(
        "tensor-in-two-shards",
        "INDEX_DUPLICATE_TENSOR",
        _shards(lambda f: f.update({"old.safetensors": f[first]})),
    )
    yield Case("shard-missing", "INDEX_MISSING_FILE", _shards(lambda f: f.pop(first)))
