"""One row of the matrix: creates, compresses, checks and rebuilds a model, and loads it in the engine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader import contest as contests
from grader.checkpoint import examine, write_canonical
from grader.contest import CONTESTS, Contest
from grader.gallery.tiny import contest_source

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
COMPRESS = ROOT / ".venv-compress" / "bin" / "python"
DATA = CONTESTS / "demo" / "data" / "calibration.jsonl"

BASE = "base_model"
# Scheme -> recipe and its settings.
SCHEMES: dict[str, tuple[str, ...]] = {
    "W8A8": ("w8a8-rtn",),
    "W4A16": ("w4a16-rtn", "--group-size", "64"),
    "FP8": ("fp8-dynamic",),
    "pruned": (str(HERE / "prune.yaml"), "--data", str(DATA)),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One checkpoint: what ``check`` and the engine say. Empty: accepted."""

    model: str
    scheme: str
    codes: tuple[str, ...]
    error: str

    @property
    def agrees(self) -> bool:
        return bool(self.codes) == bool(self.error)


def make(folder: Path, names: Sequence[str]) -> None:
    """Write ``folder/NAME/base_model`` for every name."""
    _run([COMPRESS, "-m", "tests.matrix.make_models", folder, *names])


# What ``baseline compress`` refuses to produce, with the code of its reason.
REFUSED = {("gpt-oss", scheme): "EXPERTS_IN_ONE_TENSOR" for scheme in ("W8A8", "W4A16", "FP8")}


def compress(folder: Path, names: Iterable[str], schemes: Sequence[str]) -> None:
    """Write ``folder/NAME/SCHEME`` for every name and scheme except those of :data:`REFUSED`, in one process.

    Raises:
        RuntimeError: ``baseline compress`` refuses another one, or produces one of those.
    """
    lines: list[list[object]] = []
    expected: list[str] = []
    for name in names:
        for scheme in schemes:
            model, output = folder / name / BASE, folder / name / scheme
            into = ["compress", "--model", model, "--output", output]
            lines.append([*into, "--recipe", *SCHEMES[scheme]])
            expected.append(REFUSED.get((name, scheme), ""))
    told = folder / "told"
    told.mkdir()
    stdin = "".join(json.dumps(list(map(str, line))) + "\n" for line in lines)
    _run([COMPRESS, "-m", "tests.baseline.compress_all", told], stdin)
    for number, line in enumerate(lines):
        result = json.loads((told / f"{number}.json").read_text("utf-8"))
        said = result["err"]
        if bool(result["code"]) != bool(expected[number]) or expected[number] not in said:
            raise RuntimeError(f"{line}: {expected[number] or 'no error'} expected: {said[-2000:]}")


def cells(folder: Path, name: str, schemes: Sequence[str]) -> Iterator[Cell]:
    """Return the row of one model, the base model first."""
    contest = contest_of(folder / name)
    codes: dict[str, tuple[str, ...]] = {}
    served: dict[str, Path] = {}
    for scheme in (BASE, *(each for each in schemes if (name, each) not in REFUSED)):
        submitted = folder / name / scheme
        checked, findings = examine(submitted, contest, scan=True)
        codes[scheme] = tuple(sorted({problem.code for problem in findings.problems}))
        served[scheme] = submitted
        if checked is not None:
            served[scheme] = folder / name / f"{scheme}-canonical"
            write_canonical(checked, served[scheme], contest)
    errors = dict(zip(served, load(contest.base_folder, list(served.values())), strict=True))
    for scheme, found in codes.items():
        yield Cell(name, scheme, found, errors[scheme])


def contest_of(folder: Path) -> Contest:
    """A contest with ``folder/base_model``, on a CPU, that allows everything the matrix tries."""
    config = json.loads((folder / BASE / "config.json").read_text("utf-8"))
    changes = {"architecture": config["architectures"][0], "compute_capability": 0.0, "name": "CPU"}
    changes["max_model_len"] = 256
    source = contest_source(**{key: json.dumps(value) for key, value in changes.items()})
    return contests.parse(source, folder)


def load(tokenizer: Path, folders: list[Path]) -> list[str]:
    """Return the engine's error for each folder. After an error, the next folders get a new engine."""
    errors: list[str] = []
    while len(errors) < len(folders):
        left = folders[len(errors) :]
        argv = [sys.executable, HERE / "load_models.py", tokenizer, *left]
        done = subprocess.run(argv, capture_output=True, text=True, cwd=tokenizer, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"folder"')]
        if not lines:
            raise RuntimeError(f"no verdict on {left[0]}: {done.stderr[-2000:]}")
        for line in lines:
            errors.append(json.loads(line).get("error", ""))
            if errors[-1]:
                break
    return errors


def remove(folder: Path, name: str) -> None:
    shutil.rmtree(folder / name)


def _run(argv: list[object], stdin: str = "") -> None:
    done = subprocess.run(
        list(map(str, argv)), input=stdin, capture_output=True, text=True, cwd=ROOT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{argv}: {done.stderr[-3000:]}")
