"""All rules of one contest."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from grader.contest import salt
from grader.contest.bounds import sums_to_one, unique
from grader.contest.parts import (
    AA,
    BaseModel,
    Benchmark,
    CheckpointRules,
    Compliance,
    Engine,
    Formula,
    Hardware,
    Limits,
    Phase,
    Reference,
    Scoring,
    SpeedTest,
)
from grader.schema import SchemaError, encode
from grader.text import Text

# Used in URLs, file names and commands: qwen3-0.6b.
CONTEST_ID = r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,49}"


@dataclass(frozen=True, slots=True)
class Contest:
    """All rules of one contest. ``folder``, ``sha256`` and ``source`` come from the file itself."""

    schema: int
    id: str
    title: Text
    summary: Text
    timezone: str
    base_model: BaseModel
    limits: Limits
    checkpoint: CheckpointRules
    hardware: Hardware
    engine: Engine
    benchmarks: tuple[Benchmark, ...]
    speed: SpeedTest
    scoring: Scoring
    phases: tuple[Phase, ...]
    compliance: Compliance = field(default_factory=Compliance)
    references: tuple[Reference, ...] = ()
    aa: AA = field(default_factory=AA)
    split_salt: str = ""
    sample_prompts: tuple[str, ...] = ()
    tasks: str = ""
    folder: Path = field(default=Path(), init=False)
    sha256: str = field(default="", init=False)
    source: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise SchemaError("schema", f"this version reads schema 1, found {self.schema}")
        if not re.fullmatch(CONTEST_ID, self.id):
            raise SchemaError(
                "id", "must be at most 50 letters, digits, dots, dashes or underscores"
            )
        unique("benchmarks", [b.id for b in self.benchmarks])
        unique("phases", [p.id for p in self.phases])
        unique("speed.shapes", [s.id for s in self.speed.shapes])
        sums_to_one("benchmarks", [b.weight for b in self.benchmarks])
        sums_to_one("speed.shapes", [s.weight for s in self.speed.shapes])
        _require_twins(self.benchmarks)
        for i, phase in enumerate(self.phases):
            if i and phase.start < self.phases[i - 1].end:
                before = self.phases[i - 1].id
                raise SchemaError(f"phases[{i}].start", f"must not be before the end of {before!r}")

    @property
    def formula(self) -> Formula:
        return self.scoring.formulas[self.scoring.formula]

    def phase_at(self, moment: datetime) -> Phase | None:
        """Return the phase at ``moment``; None between phases."""
        return next((p for p in self.phases if p.start <= moment < p.end), None)

    @property
    def grading_sha256(self) -> str:
        """Digest everything a worker's measurement depends on. Workers with equal digests grade identically."""
        return hashlib.sha256(json.dumps(_graded(self), sort_keys=True).encode()).hexdigest()

    @property
    def public_sha256(self) -> str:
        """Digest of the file without its salt: the version's name wherever participants read it."""
        return hashlib.sha256(salt.without(self.source).encode()).hexdigest()

    @property
    def twins(self) -> tuple[tuple[str, str], ...]:
        """Return the ids of each benchmark that has a fresh twin, with the twin's."""
        return tuple((b.twin_of, b.id) for b in self.benchmarks if b.twin_of)

    @property
    def base_folder(self) -> Path:
        return self.folder / self.base_model.folder

    @property
    def unpinned(self) -> tuple[str, ...]:
        """Return Hub references without a full commit, whose content may change at any time."""
        named = [(b.dataset, b.revision) for b in self.benchmarks if b.dataset]
        if not any(self.base_folder.glob("*.safetensors")):
            named.append((self.base_model.id, self.base_model.revision))
        return tuple(dict.fromkeys(repo for repo, revision in named if not is_commit(revision)))


def is_commit(revision: str) -> bool:
    """Return whether it is a full commit of a Hub repository, the only reference that never changes meaning."""
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def _require_twins(benchmarks: tuple[Benchmark, ...]) -> None:
    twins = {b.id: b.twin_of for b in benchmarks if b.twin_of}
    for i, benchmark in enumerate(benchmarks):
        original, where = benchmark.twin_of, f"benchmarks[{i}].twin_of"
        if original and original not in {b.id for b in benchmarks}:
            raise SchemaError(where, f"no benchmark has the id {original!r}")
        if original in twins:
            raise SchemaError(where, f"{original!r} is a twin itself")
        if original and list(twins.values()).count(original) > 1:
            raise SchemaError(where, f"{original!r} has another twin")
    if not any(b.public_share for b in benchmarks):
        raise SchemaError("benchmarks", "at least one needs public questions (public_share)")


def _graded(contest: Contest) -> dict[str, Any]:
    """Return what a worker reads of the file, without texts, dates, weights and formula."""
    words = {"title", "weight", "public_share", "exclude_docs"}

    def measured(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: value for key, value in part.items() if key not in words} for part in parts]

    data = encode(contest)
    whole = ("id", "base_model", "checkpoint", "hardware", "engine", "sample_prompts", "tasks")
    limits = {key: data["limits"][key] for key in ("archive_bytes", "unpacked_bytes", "max_files")}
    return {
        **{key: data[key] for key in whole},
        "limits": limits,
        "benchmarks": measured(data["benchmarks"]),
        "speed": {**data["speed"], "shapes": measured(data["speed"]["shapes"])},
    }
