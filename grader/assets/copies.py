"""Copies of Hub repositories on a grader's disk: where they lie and whether they are whole.

::

    CACHE/datasets/openai--gsm8k/REVISION/…      files of the data set
    CACHE/datasets/openai--gsm8k/REVISION.json   manifest, written last: a copy without it is unfinished
    BASE_MODELS/LGAI-EXAONE--EXAONE-4.0-1.2B/…   the base model's files, manifest beside them likewise

:mod:`grader.assets.prefetch` writes them, graders read them without a network.
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
    """One file of a copy: size and sha256 as fetched."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was fetched: ``commit`` is what ``revision`` meant at that time."""

    repo: str
    revision: str
    commit: str
    files: dict[str, CopiedFile]


@dataclass(frozen=True, slots=True)
class Copy:
    """A repository that a contest needs, and its place on this disk.

    Attributes:
        kind: the Hub's word for what it is.
        revision: as the contest names it; ``main`` where it names none.
    """

    kind: Literal["dataset", "model"]
    repo: str
    revision: str
    folder: Path

    @property
    def is_pinned(self) -> bool:
        """A branch or a tag may mean something else tomorrow; a commit may not."""
        return is_commit(self.revision)

    @property
    def manifest_file(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.json")

    def manifest(self) -> Manifest | None:
        """What was fetched here for this revision; ``None`` if nothing was, or not to the end."""
        try:
            manifest = decode(Manifest, json.loads(self.manifest_file.read_text("utf-8")))
        except (OSError, ValueError, SchemaError):
            return None
        return (
            manifest if (manifest.repo, manifest.revision) == (self.repo, self.revision) else None
        )

    def is_whole(self) -> bool:
        """Every file of the manifest is there in its size. Digests are compared by ``prefetch``."""
        manifest = self.manifest()
        return manifest is not None and all(
            _size_bytes(self.folder / name) == file.size_bytes
            for name, file in manifest.files.items()
        )

    def write_manifest(self, manifest: Manifest) -> None:
        """Whole or not at all, also when the process ends in the middle."""
        temporary = self.manifest_file.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(encode(manifest), indent=1), "utf-8")
        temporary.replace(self.manifest_file)


def data_sets(contest: Contest, cache: Path) -> tuple[Copy, ...]:
    """The Hub data sets that the contest's benchmarks name, each once."""
    wanted = dict.fromkeys((b.dataset, b.revision or UNPINNED) for b in contest.benchmarks)
    root = cache / "datasets"
    return tuple(
        Copy("dataset", repo, revision, root / _plain(repo) / _plain(revision))
        for repo, revision in wanted
        if repo
    )


def base_model(contest: Contest, base_models: Path) -> Copy:
    """The base model's copy in the operator's folder of base models."""
    model = contest.base_model
    return Copy("model", model.id, model.revision or UNPINNED, base_models / _plain(model.id))


def _plain(name: str) -> str:
    return name.replace("/", "--")


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
