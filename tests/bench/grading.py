"""What the grader's benchmarks share: a compressed checkpoint of the demo contest, and a worker's settings."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader import contest as rules
from grader.contest import Contest
from grader.worker.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def demo(**speed: Any) -> Contest:
    """The demo contest; ``speed`` replaces keys of that table."""
    contest = rules.load(rules.find("demo"))
    if not speed:
        return contest
    changed = dataclasses.replace(contest, speed=dataclasses.replace(contest.speed, **speed))
    for name in ("folder", "sha256", "source"):
        object.__setattr__(changed, name, getattr(contest, name))
    return changed


def compressed(contest: Contest, target: Path, recipe: str = "w8a8-rtn") -> Path:
    """Compress the base model with ``baseline compress``, in the environment that has llmcompressor."""
    python = os.environ.get("COMPRESS_PYTHON", ROOT / ".venv-compress/bin/python")
    data = contest.folder / "data" / "calibration.jsonl"
    command = [python, "-m", "baseline", "compress", "--recipe", recipe]
    command += ["--model", contest.base_folder, "--data", data, "--output", target]
    subprocess.run(
        [str(part) for part in command], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return target


@contextlib.contextmanager
def worker() -> Iterator[Settings]:
    """Settings of a worker with new folders. The path is short because of socket paths."""
    folder = Path(tempfile.mkdtemp(prefix="b-"))
    try:
        yield Settings(scratch=folder / "s", cache=folder / "cache")
    finally:
        shutil.rmtree(folder)
