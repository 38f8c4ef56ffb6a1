"""Copies of Hub repositories on a grader's disk: where they are and whether they are complete.

::

    CACHE/datasets/openai--gsm8k/REVISION/…      files of the data set
    CACHE/datasets/openai--gsm8k/REVISION.json   manifest, written last: a copy without it is unfinished
    BASE_MODELS/LGAI-EXAONE--EXAONE-4.0-1.2B/…   the base model's files, with a manifest next to them

:mod:`grader.assets.prefetch` writes them, and graders read them without a network.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grader.contest import Contest, is_commit
from grader.schema import SchemaError, decode, encode

DEFAULT_CACHE = Path("~/.cache/paretoboard/worker").expanduser()
UNPINNED = "main"


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """One file of a copy: its size and sha256 when downloaded."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was downloaded: ``commit`` is what ``revision`` resolved to at that time."""

    repo: str
    revision: str
    commit: str
    files: dict[str, CopiedFile]


@dataclass(frozen=True, slots=True)
class Copy:
    """A repository that a contest needs, and its location on this disk.

    Attributes:
        kind: the Hub's repository type.
        revision: as the contest names it; ``main`` if it names none.
    """

    kind: Literal["dataset", "model"]
    repo: str
    revision: str
    folder: Path

    @property
    def is_pinned(self) -> bool:
        """A commit never changes; a branch or a tag may."""
        return is_commit(self.revision)

    @property
    def manifest_file(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.json")

    def manifest(self) -> Manifest | None:
        """Return what was downloaded for this revision; ``None`` if there is no complete copy."""
        try:
            manifest = decode(Manifest, json.loads(self.manifest_file.read_text("utf-8")))
        except (OSError, ValueError, SchemaError):
            return None
        return (
            manifest if (manifest.repo, manifest.revision) == (self.repo, self.revision) else None
        )

    def is_whole(self) -> bool:
        """Return whether every file of the manifest exists with its size. ``prefetch`` compares digests."""
        manifest = self.manifest()
        return manifest is not None and all(
            _size_bytes(self.folder / name) == file.size_bytes
            for name, file in manifest.files.items()
        )

    def write_manifest(self, manifest: Manifest) -> None:
        """Write atomically, in case the process ends halfway."""
        temporary = self.manifest_file.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(encode(manifest), indent=1), "utf-8")
        temporary.replace(self.manifest_file)


def data_sets(contest: Contest, cache: Path) -> tuple[Copy, ...]:
    """Return the Hub data sets that the contest's benchmarks name, each once."""
    wanted = dict.fromkeys((b.dataset, b.revision or UNPINNED) for b in contest.benchmarks)
    root = cache / "datasets"
    return tuple(
        Copy("dataset", repo, revision, root / _plain(repo) / _plain(revision))
        for repo, revision in wanted
        if repo
    )


def base_model(contest: Contest, base_models: Path) -> Copy:
    """Return the base model's copy in the operator's folder of base models."""
    model = contest.base_model
    return Copy("model", model.id, model.revision or UNPINNED, base_models / _plain(model.id))


def _plain(name: str) -> str:
    return name.replace("/", "--")


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
