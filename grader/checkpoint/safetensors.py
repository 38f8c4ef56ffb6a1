"""The header of a safetensors file, read without its data, and one streaming pass over the data.

Stricter than the official parser, which accepts duplicate tensor names (the last wins), any name at all, NaN
and 300,000 tensors. Layout: 8 bytes little-endian header length, JSON header, data without holes.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from grader.checkpoint import strictjson
from grader.checkpoint.finding import Refused, display, refuse
from grader.report import Tensor

MAX_HEADER_BYTES = 16 << 20
OFFICIAL_HEADER_BYTES = 100_000_000  # the official parser's own limit
MAX_TENSORS = 100_000
MAX_DIM = 1 << 31
MAX_RANK = 5
BLOCK_BYTES = 1 << 20

ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip

# dtype -> (array code, mask without the sign bit, least bit pattern that is not finite)
_NONFINITE = {
    "F8_E4M3": ("B", 0x7F, 0x7F),
    "F8_E5M2": ("B", 0x7F, 0x7C),
    "F8_E8M0": ("B", 0xFF, 0xFF),
    "F16": ("H", 0x7FFF, 0x7C00),
    "BF16": ("H", 0x7FFF, 0x7F80),
    "F32": ("I", 0x7FFF_FFFF, 0x7F80_0000),
    "F64": ("Q", 0x7FFF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000),
}
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,256}")


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor and where its data begins, in bytes from the start of the file."""

    tensor: Tensor
    begin_bytes: int


@dataclass(frozen=True, slots=True)
class Content:
    """What one pass over a file's data found: its digest, tensors with NaN or Inf, tensors of zeros only."""

    sha256: str
    nonfinite: tuple[str, ...]
    zero: tuple[str, ...]


def read_header(path: Path) -> tuple[Slot, ...]:
    """Every tensor of the file in the order of its data.

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
        header = _parse(file.read(length_bytes), path.name)
    start_bytes = 8 + length_bytes
    slots = sorted(
        (_slot(name, info, start_bytes, path.name) for name, info in header.items()),
        key=lambda slot: slot.begin_bytes,
    )
    position = start_bytes
    for slot in slots:
        if slot.begin_bytes != position:
            raise refuse("ST_OFFSETS", path.name, slot.tensor.name)
        position += slot.tensor.size_bytes
    if position != size_bytes:
        raise refuse("ST_OFFSETS", path.name, f"{position} B ≠ {size_bytes} B")
    return tuple(slots)


def _parse(data: bytes, name: str) -> strictjson.Json:
    try:
        header = strictjson.loads(data, name, MAX_HEADER_BYTES)
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


def _slot(name: str, info: Any, start_bytes: int, file: str) -> Slot:
    if not _NAME.fullmatch(name):
        raise refuse("ST_TENSOR_NAME", file, display(name, 60) or '""')
    if not isinstance(info, dict) or info.keys() != {"dtype", "shape", "data_offsets"}:
        raise refuse("ST_TENSOR_INFO", file, name)
    dtype, shape, offsets = info["dtype"], info["shape"], info["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise refuse("ST_TENSOR_INFO", file, f"{name}: dtype {display(dtype, 20)}")
    if not _whole(shape, MAX_RANK) or not all(1 <= d <= MAX_DIM for d in shape):
        raise refuse("ST_TENSOR_INFO", file, f"{name}: shape {display(shape, 60)}")
    if not _whole(offsets, 2) or len(offsets) != 2 or offsets[0] < 0 or offsets[1] < offsets[0]:
        raise refuse("ST_OFFSETS", file, f"{name}: {display(offsets, 60)}")
    size_bytes = math.prod(shape) * ITEM_BYTES[dtype]
    if offsets[1] - offsets[0] != size_bytes:
        detail = f"{name}: {dtype} {shape} = {size_bytes} B ≠ {offsets[1] - offsets[0]} B"
        raise refuse("ST_TENSOR_INFO", file, detail)
    return Slot(Tensor(name, dtype, tuple(shape), size_bytes), start_bytes + offsets[0])


def _whole(value: Any, most: int) -> bool:
    """A list of at most ``most`` integers; ``true`` is not one."""
    return isinstance(value, list) and len(value) <= most and all(type(v) is int for v in value)


def _guess(head: bytes) -> str:
    text = head.lstrip().lower()
    kinds = {b"<": "HTML", b"\x80": "pickle", b"pk": "zip", b"gguf": "GGUF", b"{": "JSON"}
    return next((kind for magic, kind in kinds.items() if text.startswith(magic)), "")


def scan(path: Path, slots: tuple[Slot, ...]) -> Content:
    """Read the whole file once: digest, non-finite and all-zero tensors. Memory: one block."""
    digest, nonfinite, zero = hashlib.sha256(), [], []
    with path.open("rb", buffering=0) as file:
        digest.update(file.read(slots[0].begin_bytes if slots else -1))
        for slot in slots:
            finite, some = _scan_tensor(file, slot.tensor, digest)
            if not finite:
                nonfinite.append(slot.tensor.name)
            elif not some:
                zero.append(slot.tensor.name)
    return Content(digest.hexdigest(), tuple(nonfinite), tuple(zero))


def scan_finite(path: Path, slots: tuple[Slot, ...]) -> tuple[str, ...]:
    """Names of the floating-point tensors that hold NaN or infinity."""
    return scan(path, slots).nonfinite


def _scan_tensor(file: BinaryIO, tensor: Tensor, digest: Any) -> tuple[bool, bool]:
    """(all finite, not all zero) of the tensor that starts at the file's position."""
    code, mask, limit = _NONFINITE.get(tensor.dtype, ("B", 0xFF, 0x100))
    block = memoryview(bytearray(BLOCK_BYTES))
    left, largest = tensor.size_bytes, 0
    while left:
        part = block[: min(left, BLOCK_BYTES)]
        count = file.readinto(part)  # type: ignore[attr-defined]
        if count < len(part):
            if not count:
                raise refuse("ST_OFFSETS", Path(file.name).name, tensor.name)  # shrank meanwhile
            part = part[: count - count % ITEM_BYTES[tensor.dtype]]
            file.seek(len(part) - count, 1)
        digest.update(part)
        largest = max(largest, _largest(part, code, mask))
        left -= len(part)
    return largest < limit, largest > 0


def _largest(part: memoryview, code: str, mask: int) -> int:
    """Largest bit pattern without sign: one number tells NaN, Inf and all-zero."""
    try:
        import numpy
    except ImportError:
        return max(map(mask.__and__, part.cast(code)))  # type: ignore[call-overload]
    values = numpy.frombuffer(part, dtype=code)
    return int((values & values.dtype.type(mask)).max())
