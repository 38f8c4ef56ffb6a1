"""What a gallery case is, and the workbench on which its archive is built."""

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
        id: unique, in words.
        code: the problem that must be found; empty for a checkpoint that must be accepted.
        build: writes the archive on a :class:`Bench` and returns its path.
        notice: a notice that must be given; empty: none is asked for.
        scheme: quantization in words that must be recognized, for accepted cases.
        marker: running anything of the submission would create ``Bench.marker``.
        any_contest: holds in every contest; otherwise only in :func:`grader.gallery.tiny.tiny_contest`.
        scan: the data must be read, not only headers.
        limit_s: the verdict must be there within this time.
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
        """Where the verdict falls; ``None`` for accepted cases."""
        return CATALOGUE[self.code].stage if self.code else None


@dataclass(frozen=True, slots=True)
class Bench:
    """Builds submissions for ``contest`` in ``folder``."""

    contest: Contest
    folder: Path

    @property
    def marker(self) -> Path:
        """A file that appears only if something of the submission was executed."""
        return self.folder / "executed"

    def config(self, **changes: object) -> Json:
        """The base model's config with changes; a change to ``...`` removes the key."""
        config = strictjson.read(self.contest.base_folder / "config.json") | changes
        return {key: value for key, value in config.items() if value is not ...}

    def files(self, **changes: object) -> Files:
        """A valid checkpoint of the changed config."""
        return tiny.checkpoint(self.config(**changes))

    def sharded(self, shards: int) -> Files:
        """The base config's checkpoint in several files with an index."""
        return tiny.checkpoint(self.config(), shards=shards)

    def with_config(self, **changes: object) -> Path:
        """The base checkpoint beside a changed ``config.json``."""
        return self.with_config_text(json.dumps(self.config(**changes)).encode())

    def with_config_text(self, text: bytes) -> Path:
        """The base checkpoint beside this ``config.json``."""
        return self.zip(self.files() | {"config.json": text})

    def with_weights(self, change: Callable[[dict[str, Raw]], object], **config: object) -> Path:
        """A checkpoint whose tensors were changed in place."""
        tensors = tiny.weights(self.config(**config))
        change(tensors)
        return self.with_file("model.safetensors", tiny.safetensors(tensors), **config)

    def with_file(self, name: str, data: bytes, **config: object) -> Path:
        """A valid checkpoint with one file added or replaced."""
        return self.zip(self.files(**config) | {name: data})

    def zip(self, files: Mapping[str, bytes], top: str = "") -> Path:
        return self.write("submission.zip", packing.zip_bytes(packing.members(files, top)))

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path


def judge(case: Case, contest: Contest, folder: Path) -> Findings:
    """Build the case in the empty ``folder`` and let the checker judge it, as the site does."""
    return verdict(case.build(Bench(contest, folder)), contest, folder / "unpacked", scan=case.scan)


def verdict(archive: Path, contest: Contest, unpacked: Path, *, scan: bool = True) -> Findings:
    """What the checker finds in ``archive``, which it unpacks into the new folder ``unpacked``."""
    if problems := unpack(archive, unpacked, contest.limits):
        return Findings(tuple(problems))
    return find_problems(unpacked, contest, scan=scan)


def find_fault(case: Case, findings: Findings) -> str:
    """Why the verdict is not the expected one; empty if it is."""
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
