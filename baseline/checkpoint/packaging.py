"""Packs checkpoints deterministically: the same checkpoint always produces the same bytes.

Uses an uncompressed tar: weights do not compress, and the upload can start immediately. Names are sorted and
times, owners and modes fixed, so equal checkpoints give equal archives and the digest proves what was
submitted.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from baseline.checkpoint.safe_write import whole_file
from baseline.terminal.errors import usage

CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Package:
    path: Path
    sha256: str
    size_bytes: int
    files: tuple[str, ...]
    left_out: tuple[str, ...]


def pack(
    folder: Path, output: Path, force: bool = False, on_bytes: Callable[[int], None] | None = None
) -> Package:
    """Write the archive atomically.

    Raises:
        CliError: not a folder, no config.json, no weights, an index that names a missing file.
    """
    files = members(folder)
    left_out = sorted(
        path.name for path in folder.iterdir() if path.name not in files and not path.is_dir()
    )
    with whole_file(output, force) as temporary:
        digest = hashlib.sha256()
        with temporary.open("wb") as file:
            _write(folder, files, _Hashing(file, digest, on_bytes))
        size_bytes = temporary.stat().st_size
    return Package(output, digest.hexdigest(), size_bytes, tuple(files), tuple(left_out))


def members(folder: Path) -> list[str]:
    """Return the sorted names of the files a contest uses: config.json, the weights and their index."""
    from grader.checkpoint.layout import CONFIG, INDEX, packed_names

    if not folder.is_dir():
        raise usage(
            "CHECKPOINT_NOT_A_FOLDER",
            f"{folder} is not a folder.",
            "Give the folder that `baseline compress` wrote.",
        )
    if not (folder / CONFIG).is_file():
        raise usage(
            "CHECKPOINT_WITHOUT_CONFIG",
            f"{folder} has no config.json.",
            "Give the folder that holds config.json and the weights.",
        )
    indexed = _indexed(folder / INDEX) if (folder / INDEX).is_file() else None
    names = packed_names([path.name for path in folder.iterdir()], indexed)
    weights = [name for name in names if name not in (CONFIG, INDEX)]
    if not weights:
        raise usage(
            "CHECKPOINT_WITHOUT_WEIGHTS",
            f"{folder} has no .safetensors file.",
            "Only safetensors weights are accepted.",
        )
    absent = [name for name in weights if not (folder / name).is_file()]
    if absent:
        raise usage(
            "CHECKPOINT_SHARD_MISSING",
            f"{INDEX} names {absent[0]}, which is not in {folder}.",
            "Copy the missing shard or save the checkpoint again.",
        )
    return names


def _indexed(index: Path) -> list[str]:
    try:
        weight_map = json.loads(index.read_text("utf-8"))["weight_map"]
        names = sorted({str(name) for name in weight_map.values()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise usage("CHECKPOINT_INDEX_INVALID", f"{index} is not a weight index.") from error
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise usage("CHECKPOINT_INDEX_INVALID", f"{index} points outside its folder: {outside[0]}.")
    return names


def _write(folder: Path, names: list[str], file: _Hashing) -> None:
    with tarfile.open(
        fileobj=file, mode="w|", format=tarfile.GNU_FORMAT, bufsize=CHUNK_BYTES
    ) as tar:  # type: ignore[call-overload]
        for name in names:
            entry = tarfile.TarInfo(name)  # owner 0, no names, time 0
            entry.size = (folder / name).stat().st_size
            entry.mode = 0o644
            with (folder / name).open("rb") as source:
                tar.addfile(entry, source)


class _Hashing:
    """A write-only file that hashes everything written to it."""

    def __init__(self, file: BinaryIO, digest: Any, on_bytes: Callable[[int], None] | None) -> None:
        self._file, self._digest, self._on_bytes = file, digest, on_bytes

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        if self._on_bytes:
            self._on_bytes(len(data))
        return self._file.write(data)
