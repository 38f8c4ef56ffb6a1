"""Reads the header of a safetensors file without its data.

Stricter than the official parser, which accepts duplicate tensor names (the last wins), arbitrary names, NaN
and 300,000 tensors. Layout: 8 bytes little-endian header length, JSON header, data without holes.
"""

from __future__ import annotations

import gc
import string
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

from grader.checkpoint import strictjson
from grader.checkpoint.finding import Refused, display, refuse
from grader.protocol.documents import Tensor

MAX_HEADER_BYTES = 16 << 20
OFFICIAL_HEADER_BYTES = 100_000_000  # the official parser's own limit
MAX_TENSORS = 100_000
MAX_DIM = 1 << 31
MAX_RANK = 5
MAX_NAME = 256

ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip

_IN_NAMES = (string.ascii_letters + string.digits + "_.-").encode()


def read_header(path: Path) -> tuple[Tensor, ...]:
    """Return every tensor of the file in data order. The data has no gaps and ends with the file.

    Raises:
        Refused: ST_HEADER, ST_LFS_POINTER, ST_TOO_MANY_TENSORS, ST_DUPLICATE_TENSOR, ST_TENSOR_NAME,
            ST_TENSOR_INFO or ST_OFFSETS.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
        if head.startswith(b"version https://git-lfs"):
            raise refuse("ST_LFS_POINTER", path.name)
        if len(head) < 8:
            raise refuse("ST_HEADER", path.name, f"{size_bytes} B")
        (length_bytes,) = struct.unpack("<Q", head[:8])
        if not 2 <= length_bytes <= min(size_bytes - 8, OFFICIAL_HEADER_BYTES) or head[8:9] != b"{":
            raise refuse(
                "ST_HEADER", path.name, _guess(head) or f"{length_bytes} B / {size_bytes} B"
            )
        if length_bytes > MAX_HEADER_BYTES:
            raise refuse(
                "ST_TOO_MANY_TENSORS", path.name, f"{length_bytes} B > {MAX_HEADER_BYTES} B"
            )
        file.seek(8)
        data = file.read(length_bytes)
    with _collector_paused():
        return _tensors(_parse(data, path.name), 8 + length_bytes, size_bytes, path.name)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause Python's search for reference cycles. A header has none and makes tens of thousands of objects:
    looking through all of them again and again would take half of the time.

    Threads may overlap: whoever found the collector running starts it again.
    """
    was_running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_running:
            gc.enable()


def _parse(data: bytes, name: str) -> strictjson.Json:
    try:
        header = strictjson.loads(data, name, MAX_HEADER_BYTES, _count_keys)
    except Refused as error:
        (found,) = error.problems
        if found.code == "JSON_DUPLICATE_KEY":
            inner = found.detail in {"dtype", "shape", "data_offsets"}
            code = "ST_TENSOR_INFO" if inner else "ST_DUPLICATE_TENSOR"
            raise refuse(code, name, found.detail) from None
        raise refuse("ST_HEADER", name, f"{found.code} {found.detail}".strip()) from None
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise refuse("ST_HEADER", name, "__metadata__")
    if len(header) > MAX_TENSORS:
        raise refuse("ST_TOO_MANY_TENSORS", name, f"{len(header)} > {MAX_TENSORS}")
    return header


def _count_keys(header: strictjson.Json) -> int:
    """Counts two levels only; headers with more are refused below."""
    entries = header.values()
    return len(header) + (sum(map(len, entries)) if set(map(type, entries)) == {dict} else 0)


def _tensors(
    header: strictjson.Json, start_bytes: int, size_bytes: int, file: str
) -> tuple[Tensor, ...]:
    """Check the entries in one pass, then check that their ranges cover the file without gaps."""
    if _is_strange("".join(header)) or not all(0 < n <= MAX_NAME for n in map(len, header)):
        strange = next(
            name for name in header if not 0 < len(name) <= MAX_NAME or _is_strange(name)
        )
        raise refuse("ST_TENSOR_NAME", file, display(strange, 60) or '""')
    found = []
    for name, info in header.items():
        if type(info) is not dict or info.keys() != _KEYS:
            raise refuse("ST_TENSOR_INFO", file, name)
        dtype, shape, offsets = info["dtype"], info["shape"], info["data_offsets"]
        needed_bytes = ITEM_BYTES.get(dtype) if type(dtype) is str else None
        if needed_bytes is None:
            raise refuse("ST_TENSOR_INFO", file, f"{name}: dtype {display(dtype, 20)}")
        if type(shape) is not list or len(shape) > MAX_RANK:
            raise refuse("ST_TENSOR_INFO", file, f"{name}: shape {display(shape, 60)}")
        for length in shape:
            if type(length) is not int or not 1 <= length <= MAX_DIM:  # in Python, True is an int
                raise refuse("ST_TENSOR_INFO", file, f"{name}: shape {display(shape, 60)}")
            needed_bytes *= length
        begin, end = offsets if type(offsets) is list and len(offsets) == 2 else (None, None)
        if type(begin) is not int or type(end) is not int or not 0 <= begin <= end:
            raise refuse("ST_OFFSETS", file, f"{name}: {display(offsets, 60)}")
        if end - begin != needed_bytes:
            detail = f"{name}: {dtype} {shape} = {needed_bytes} B ≠ {end - begin} B"
            raise refuse("ST_TENSOR_INFO", file, detail)
        found.append((begin, Tensor(name, dtype, tuple(shape), needed_bytes)))
    found.sort(key=_begin)
    position = 0
    for begin, tensor in found:
        if begin != position:
            raise refuse("ST_OFFSETS", file, tensor.name)
        position += tensor.size_bytes
    if start_bytes + position != size_bytes:
        raise refuse("ST_OFFSETS", file, f"{start_bytes + position} B ≠ {size_bytes} B")
    return tuple(tensor for _, tensor in found)


def _is_strange(name: str) -> bool:
    """Return whether a character is in it that names do not have."""
    return bool(name.encode("utf-8", "surrogatepass").translate(None, _IN_NAMES))


_KEYS = {"dtype", "shape", "data_offsets"}
_begin = itemgetter(0)


def _guess(head: bytes) -> str:
    text = head.lstrip().lower()
    kinds = {b"<": "HTML", b"\x80": "pickle", b"pk": "zip", b"gguf": "GGUF", b"{": "JSON"}
    return next((kind for magic, kind in kinds.items() if text.startswith(magic)), "")
