"""The base model's benchmark results: measured once per contest, device and software version, then reused."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from grader.contest import Benchmark, Contest
from grader.schema import SchemaError, decode, encode
from grader.worker.engine.server import Engine

_log = logging.getLogger(__name__)
_SOFTWARE = ("vllm", "torch", "transformers", "lm_eval", "compressed_tensors")


@dataclass(frozen=True, slots=True)
class Answer:
    """One question on one engine."""

    doc_id: int
    doc_hash: str
    prompt_hash: str
    value: float
    output_chars: int

    @property
    def question(self) -> tuple[int, str, str]:
        """What must match for two answers to form a pair."""
        return self.doc_id, self.doc_hash, self.prompt_hash


@dataclass(frozen=True, slots=True)
class Run:
    """One benchmark on one engine."""

    answers: tuple[Answer, ...]
    duration_s: float

    @property
    def questions(self) -> list[tuple[int, str, str]]:
        return [answer.question for answer in self.answers]


def path(base: Engine, benchmark: Benchmark, versions: dict[str, str]) -> Path:
    """Return where the run is stored. The name changes with everything that could change the answers."""
    weights = sorted(base.model.folder.glob("*.safetensors"))
    facts = {
        "contest": base.contest.sha256,
        "benchmark": benchmark.id,
        "device": base.settings.device,
        "engine": list(base.settings.engine),
        "software": {name: versions.get(name, "") for name in _SOFTWARE},
        "flags": base.published_flags,
        "files": _organisers_files(base.contest),
        "weights": [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in weights],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return base.settings.cache / "base" / base.contest.id / f"{benchmark.id}-{digest[:24]}.json"


def _organisers_files(contest: Contest) -> str:
    """Digest the contest's tasks and its base model's tokenizer and configs, none of which are in the TOML."""
    small = (f for f in contest.base_folder.iterdir() if f.suffix in (".json", ".jinja", ".model"))
    tasks = (contest.folder / contest.tasks).rglob("*") if contest.tasks else ()
    digest = hashlib.sha256()
    for file in sorted(f for f in (*small, *tasks) if f.is_file() and f.suffix != ".pyc"):
        digest.update(f"{file} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def read(file: Path) -> Run | None:
    """Load the stored run. Returns None if it is missing or unreadable, in which case it is measured again."""
    try:
        return decode(Run, json.loads(file.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SchemaError) as error:
        _log.warning("cannot use the stored base model run %s: %s", file.name, error)
        return None


def write(file: Path, run: Run) -> None:
    """Write atomically, in case the worker is killed halfway."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(encode(run)), "utf-8")
    temporary.replace(file)
