"""What a gallery case is, and the workbench that builds its archive."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.checkpoint import Findings, find_problems, strictjson, unpack
from grader.contest import Contest
from grader.gallery import packing, tiny
from grader.gallery.tiny import Files, Json, Raw
from grader.problems.catalogue import CATALOGUE, Stage


@dataclass(frozen=True, slots=True)
class Case:
    """A submission with a known verdict.

    Attributes:
        id: unique and readable.
        code: the expected problem; empty if the checkpoint must be accepted.
        build: writes the archive on a :class:`Bench` and returns its path.
        notice: the expected notice; empty: none required.
        scheme: the expected quantization in words, for accepted cases.
        marker: ``Bench.marker`` is created if anything in the submission is executed.
        any_contest: applies to every contest; otherwise only to :func:`grader.gallery.tiny.tiny_contest`.
        scan: read the data, not only headers.
        limit_s: the verdict must be reached within this time.
    """

    id: str
    code: str
    build: Callable[[Bench], Path]
    notice: str = ""
    scheme: str = ""
    marker: bool = False
    any_contest: bool = True
    scan: bool = False
    limit_s: float = 10.0

    @property
    def stage(self) -> Stage | None:
        """The stage of the verdict; ``None`` for accepted cases."""
        return CATALOGUE[self.code].stage if self.code else None


@dataclass(frozen=True, slots=True)
class Bench:
    """Builds submissions for ``contest`` in ``folder``."""

    contest: Contest
    folder: Path

    @property
    def marker(self) -> Path:
        """A file that only appears if something in the submission was executed."""
        return self.folder / "executed"

    def config(self, **changes: object) -> Json:
        """Return the base model's config with changes. A change to ``...`` removes the key."""
        config = strictjson.read(self.contest.base_folder / "config.json") | changes
        return {key: value for key, value in config.items() if value is not ...}

    def files(self, **changes: object) -> Files:
        """Write a valid checkpoint with the changed config."""
        return tiny.checkpoint(self.config(**changes))

    def sharded(self, shards: int) -> Files:
        """Write the base config's checkpoint in several files with an index."""
        return tiny.checkpoint(self.config(), shards=shards)

    def with_config(self, **changes: object) -> Path:
        """Write the base checkpoint with a changed ``config.json``."""
        return self.with_config_text(json.dumps(self.config(**changes)).encode())

    def with_config_text(self, text: bytes) -> Path:
        """Write the base checkpoint with this ``config.json``."""
        return self.zip(self.files() | {"config.json": text})

    def with_weights(self, change: Callable[[dict[str, Raw]], object], **config: object) -> Path:
        """Write a checkpoint whose tensors were changed in place."""
        tensors = tiny.weights(self.config(**config))
        change(tensors)
        return self.with_file("model.safetensors", tiny.safetensors(tensors), **config)

    def with_file(self, name: str, data: bytes, **config: object) -> Path:
        """Write a valid checkpoint with one file added or replaced."""
        return self.zip(self.files(**config) | {name: data})

    def zip(self, files: Mapping[str, bytes], top: str = "") -> Path:
        return self.write("submission.zip", packing.zip_bytes(packing.members(files, top)))

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path


def judge(case: Case, contest: Contest, folder: Path) -> Findings:
    """Build the case in the empty ``folder`` and run the checker on it, as the site does."""
    return verdict(case.build(Bench(contest, folder)), contest, folder / "unpacked", scan=case.scan)


def verdict(archive: Path, contest: Contest, unpacked: Path, *, scan: bool = True) -> Findings:
    """Return the checker's findings for ``archive``, which is unpacked into the new folder ``unpacked``."""
    if problems := unpack(archive, unpacked, contest.limits):
        return Findings(tuple(problems))
    return find_problems(unpacked, contest, scan=scan)


def find_fault(case: Case, findings: Findings) -> str:
    """Return how the verdict differs from the expected one; empty if it matches."""
    codes = [problem.code for problem in findings.problems]
    if case.code not in codes if case.code else codes:
        found = "; ".join(f"{p.code} {p.where} {p.detail}" for p in findings.problems) or "accepted"
        return f"expected {case.code or 'acceptance'}, found {found}"
    if case.notice and case.notice not in [notice.code for notice in findings.notices]:
        return f"expected notice {case.notice}, found {[n.code for n in findings.notices]}"
    scheme = findings.facts.scheme if findings.facts else ""
    return (
        f"expected scheme {case.scheme}, found {scheme}" if case.scheme not in ("", scheme) else ""
    )
