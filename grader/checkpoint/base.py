"""The base model of a contest: its ``config.json``, and its tensors from the weights' headers or a saved table.

If a contest's folder has no weights, ``tensors.json`` next to the config lists names, dtypes, shapes and file
sizes in a few kilobytes. ``prefetch`` writes it from the headers alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from grader.checkpoint import strictjson
from grader.checkpoint.architecture import Architecture
from grader.checkpoint.finding import Refused
from grader.checkpoint.layout import CONFIG
from grader.checkpoint.safetensors import ITEM_BYTES, read_header
from grader.checkpoint.strictjson import Json
from grader.contest import Contest
from grader.protocol.documents import Tensor

TENSORS = "tensors.json"


@dataclass(frozen=True, slots=True)
class Headers:
    """What the headers of a base model contain: its tensors, and the sizes of its files in bytes."""

    files: Mapping[str, int]
    tensors: tuple[Tensor, ...]


def base_config(contest: Contest) -> Json:
    """Return the base model's ``config.json``. The result is shared; do not modify it.

    Raises:
        FileNotFoundError, ValueError: the contest's folder is unusable, which is the organizer's mistake.
    """
    return _config(*_as_it_is(contest.base_folder / CONFIG))


def base_architecture(contest: Contest) -> Architecture:
    """Return the structure of the base model, based on its own headers.

    Raises:
        FileNotFoundError, ValueError: as :func:`base_config`, or the folder has neither weights nor table.
    """
    config = contest.base_folder / CONFIG
    table = contest.base_folder / TENSORS
    files = sorted(contest.base_folder.glob("*.safetensors")) or [table]
    return _architecture(_as_it_is(config), tuple(map(_as_it_is, files)))


def base_headers(folder: Path) -> Headers:
    """Read the headers of the weights in ``folder``, or its ``tensors.json`` if there are none.

    Raises:
        FileNotFoundError, ValueError: neither exists, or it cannot be read.
    """
    if weights := sorted(folder.glob("*.safetensors")):
        return headers_of(weights)
    return read_table(folder / TENSORS)


def headers_of(weights: Iterable[Path]) -> Headers:
    """Read the headers from the weights files.

    Raises:
        ValueError: a file fails the strict reader.
    """
    files: dict[str, int] = {}
    tensors: list[Tensor] = []
    for path in weights:
        try:
            tensors += read_header(path)
        except Refused as refusal:
            raise ValueError(f"{path}: {refusal}") from None
        files[path.name] = path.stat().st_size
    return Headers(files, tuple(tensors))


def read_table(path: Path) -> Headers:
    """Read a ``tensors.json``.

    Raises:
        FileNotFoundError, ValueError: it does not exist or is not valid.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
        tensors = [_tensor(name, text) for name, text in document["tensors"].items()]
        files = {str(name): int(size) for name, size in document["files"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no table of tensors: {error!r}") from None
    return Headers(files, tuple(tensors))


def write_table(path: Path, headers: Headers) -> None:
    """Write a ``tensors.json`` with one tensor per line."""
    lines = [
        f"  {json.dumps(t.name)}: {json.dumps(f'{t.dtype} {list(t.shape)}')}"
        for t in headers.tensors
    ]
    files, tensors = json.dumps(dict(headers.files)), ",\n".join(lines)
    path.write_text(f'{{"files": {files},\n"tensors": {{\n{tensors}\n}}}}\n', "utf-8")


def _tensor(name: str, text: str) -> Tensor:
    dtype, _, shape = text.partition(" ")
    lengths = tuple(int(length) for length in json.loads(shape))
    return Tensor(name, dtype, lengths, math.prod(lengths, start=ITEM_BYTES[dtype]))


_File = tuple[Path, int, int]  # cached for this modification time and size


def _as_it_is(path: Path) -> _File:
    fact = path.stat()
    return path, fact.st_mtime_ns, fact.st_size


@lru_cache(maxsize=16)
def _config(path: Path, mtime_ns: int, size_bytes: int) -> Json:
    try:
        return strictjson.read(path)
    except Refused as refusal:
        raise ValueError(f"{path}: {refusal}") from None


@lru_cache(maxsize=16)
def _architecture(config: _File, files: tuple[_File, ...]) -> Architecture:
    paths = [path for path, _, _ in files]
    headers = read_table(paths[0]) if paths[0].name == TENSORS else headers_of(paths)
    return Architecture.of(_config(*config), headers.tensors)
