"""One row of the matrix: a model made, compressed, checked, rebuilt, and served by the engine."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
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


# What ``baseline compress`` refuses to make, by the code that it says why.
REFUSED = {("gpt-oss", scheme): "EXPERTS_IN_ONE_TENSOR" for scheme in ("W8A8", "W4A16", "FP8")}
# What is made although this machine cannot serve it, by the code with which preflight says so beforehand.
NOT_SERVED = {
    (name, scheme): "KERNEL_MISSING"
    for name in ("qwen3-moe", "exaone-moe", "deepseek-v3")
    for scheme in ("W8A8", "W4A16", "FP8")
}
# Of a checkpoint that is read as it was written. Families that normalize after a block keep least: 0.85 in four
# bits, 0.33 with a third of the layers dropped. Unrelated answers correlate by 0.02.
LEAST_LIKENESS = {BASE: 1.0, "W8A8": 0.99, "FP8": 0.97, "W4A16": 0.8, "pruned": 0.2}


@dataclass(frozen=True, slots=True)
class Cell:
    """One checkpoint: what ``check`` and what the engine has against it, if anything.

    Attributes:
        likeness: correlation of its log-probabilities with the base model's; 0 where the engine refuses it.
    """

    model: str
    scheme: str
    codes: tuple[str, ...]
    error: str
    likeness: float

    @property
    def agrees(self) -> bool:
        expected = NOT_SERVED.get((self.model, self.scheme), "")
        if self.codes != ((expected,) if expected else ()):
            return False
        if expected:
            return bool(self.error)
        return self.likeness >= LEAST_LIKENESS[self.scheme]


def make(folder: Path, names: Iterable[str]) -> None:
    """``folder/NAME/base_model`` for every name that has none yet."""
    absent = [name for name in names if not (folder / name / BASE).is_dir()]
    if absent:
        _run([COMPRESS, "-m", "tests.matrix.make_models", folder, *absent])


def compress(folder: Path, names: Iterable[str], schemes: Sequence[str]) -> None:
    """``folder/NAME/SCHEME`` for every name and scheme but those of :data:`REFUSED`, in one process.

    What is there is left as it is: ``baseline compress`` writes a folder whole or not at all.

    Raises:
        RuntimeError: ``baseline compress`` refuses another one, or makes one of those.
    """
    lines: list[list[object]] = []
    expected: list[str] = []
    for name in names:
        for scheme in schemes:
            model, output = folder / name / BASE, folder / name / scheme
            if not output.is_dir():
                into = ["compress", "--model", model, "--output", output]
                lines.append([*into, "--recipe", *SCHEMES[scheme]])
                expected.append(REFUSED.get((name, scheme), ""))
    told = folder / "told"
    told.mkdir(exist_ok=True)
    stdin = "".join(json.dumps(list(map(str, line))) + "\n" for line in lines)
    _run([COMPRESS, "-m", "tests.baseline.compress_all", told], stdin)
    for number, line in enumerate(lines):
        result = json.loads((told / f"{number}.json").read_text("utf-8"))
        said = result["err"]
        if bool(result["code"]) != bool(expected[number]) or expected[number] not in said:
            raise RuntimeError(f"{line}: {expected[number] or 'no error'} expected: {said[-2000:]}")


def row(folder: Path, name: str, schemes: Sequence[str]) -> list[Cell]:
    """The cells of one model, the base model's first."""
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
            shutil.rmtree(served[scheme], ignore_errors=True)  # of a run that was interrupted
            write_canonical(checked, served[scheme], contest)
    verdicts = dict(zip(served, load(contest.base_folder, list(served.values())), strict=True))
    base = verdicts[BASE].logprobs
    return [
        Cell(name, scheme, found, verdicts[scheme].error, likeness(base, verdicts[scheme].logprobs))
        for scheme, found in codes.items()
    ]


def contest_of(folder: Path) -> Contest:
    """A contest over ``folder/base_model``, on a CPU, that allows what the matrix tries."""
    config = json.loads((folder / BASE / "config.json").read_text("utf-8"))
    changes = {"architecture": config["architectures"][0], "compute_capability": 0.0, "name": "CPU"}
    changes["max_model_len"] = 256
    source = contest_source(**{key: json.dumps(value) for key, value in changes.items()})
    return contests.parse(source, folder)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the engine made of a folder: an error, or the log-probabilities of a prompt."""

    error: str
    logprobs: tuple[float, ...]


def load(tokenizer: Path, folders: list[Path]) -> list[Verdict]:
    """The engine's verdict on each folder. After an error the others get a fresh engine."""
    verdicts: list[Verdict] = []
    while len(verdicts) < len(folders):
        left = folders[len(verdicts) :]
        argv = [sys.executable, HERE / "load_models.py", tokenizer, *left]
        done = subprocess.run(argv, capture_output=True, text=True, cwd=tokenizer, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"folder"')]
        if not lines:
            raise RuntimeError(f"no verdict on {left[0]}: {done.stderr[-2000:]}")
        for line in lines:
            said = json.loads(line)
            verdicts.append(Verdict(said.get("error", ""), tuple(said.get("logprobs", ()))))
            if verdicts[-1].error:
                break
    return verdicts


def likeness(base: Sequence[float], other: Sequence[float]) -> float:
    """Correlation of two models' log-probabilities; 0 where there are none to compare."""
    if not base or len(base) != len(other):
        return 0.0
    return round(statistics.correlation(base, other), 4)


def _run(argv: list[object], stdin: str = "") -> None:
    done = subprocess.run(
        list(map(str, argv)), input=stdin, capture_output=True, text=True, cwd=ROOT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{argv}: {done.stderr[-3000:]}")
