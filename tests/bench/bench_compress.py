"""``baseline compress --recipe w4a16-gptq`` ÷ the lecture's bare script, same model, data and settings.

``ratio`` compares wall time, ``memory_ratio`` peak resident memory, both of whole processes in the environment
with llmcompressor. ``inspect_s`` and ``check_s`` use a full-size sparse EXAONE-4.0-1.2B, whose 2.56 GB are
never read, as ``inspect_rss_mb`` and ``check_rss_mb`` show. Sparse weights are all zero, which the full check
refuses, so this times the header check.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from grader import contest as rules
from tests.bench.harness import peak_rss_mb, say
from tests.checkpoints import write_full_size

ROOT = Path(__file__).resolve().parents[2]
COMPRESS = Path(os.environ.get("COMPRESS_PYTHON", ROOT / ".venv-compress" / "bin" / "python"))
MAKER = ROOT / "tests" / "bench" / "random_model.py"


@dataclass
class Runs:
    seconds: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)


def run(quick: bool) -> dict[str, object]:
    layers, width, samples, tokens, rounds = (2, 1024, 8, 64, 1) if quick else (6, 1024, 32, 128, 3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "base" / "model"
        _python(COMPRESS, str(MAKER), str(model), str(layers), str(width))
        data = folder / "base" / "data.jsonl"
        size = (model / "model.safetensors").stat().st_size
        say(f"  {size:,} bytes, {samples} samples of at most {tokens} tokens")
        ours = ["-m", "baseline", "compress", "--recipe", "w4a16-gptq", "--model", str(model),
                "--data", str(data), "--samples", str(samples), "--seq-length", str(tokens),
                "--set", "gptq.actorder=static"]  # fmt: skip
        bare = [str(ROOT / "tests" / "bench" / "lecture_script.py"), str(model), str(data),
                str(samples), str(tokens)]  # fmt: skip
        own, known = Runs(), Runs()
        for number in range(rounds):
            pairs = [(own, [*ours, "--output", f"{folder}/own-{number}"]),
                     (known, [*bare, f"{folder}/bare-{number}"])]  # fmt: skip
            for runs, arguments in pairs if number % 2 else reversed(pairs):
                _measured(runs, arguments)
            say(f"  round {number + 1}/{rounds}: {own.seconds[-1]:.1f} s ÷ {known.seconds[-1]:.1f} s, "
                f"{own.peak_mb[-1]:.0f} MB ÷ {known.peak_mb[-1]:.0f} MB")  # fmt: skip
        same = _layers(folder / "own-0") == _layers(folder / "bare-0")
        return {
            "ratio": round(statistics.median(own.seconds) / statistics.median(known.seconds), 3),
            "memory_ratio": round(statistics.median(own.peak_mb) / statistics.median(known.peak_mb), 3),
            "same_tensors": same,
            "seconds": round(statistics.median(own.seconds), 1),
            **_full_size(folder / "full"),
        }  # fmt: skip


def _measured(runs: Runs, arguments: list[str]) -> None:
    """Run one process and return its wall time and its own peak memory, as reported by the kernel."""
    started = time.perf_counter()
    child = subprocess.Popen(
        [str(COMPRESS), *arguments], cwd=ROOT, env=_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stderr is not None
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, errors[-3000:]
    runs.seconds.append(time.perf_counter() - started)
    runs.peak_mb.append(usage.ru_maxrss / 1024)


def _full_size(folder: Path) -> dict[str, object]:
    write_full_size(folder, rules.load(rules.find("aimers8")))
    code = "from baseline.cli import run; import sys; sys.stdout = open('/dev/null', 'w');"
    inspect = (
        f"{code} run(['inspect', {str(folder)!r}, '-c', 'aimers8']); sys.stdout = sys.__stdout__"
    )
    check = (
        "from pathlib import Path; from grader import checkpoint, contest as c;"
        f"assert not checkpoint.find_problems(Path({str(folder)!r}), c.load(c.find('aimers8'))).problems"
    )
    figures: dict[str, object] = {}
    for name, text in (("inspect", inspect), ("check", check)):
        started = time.perf_counter()
        figures[f"{name}_rss_mb"] = round(peak_rss_mb(text), 1)
        figures[f"{name}_s"] = round(time.perf_counter() - started, 2)
    help_s = []
    for _ in range(5):
        started = time.perf_counter()
        _python(Path(sys.executable), "-m", "baseline", "--help")
        help_s.append(time.perf_counter() - started)
    return figures | {"help_s": round(min(help_s), 2)}


def _layers(folder: Path) -> dict[str, object]:
    """Return names, dtypes and shapes of the output, except for a head that the bare script may copy."""
    from grader.checkpoint import read_header

    config = json.loads((folder / "config.json").read_text())
    assert config["quantization_config"]["format"] == "pack-quantized"
    return {
        tensor.name: (tensor.dtype, tensor.shape)
        for file in folder.glob("*.safetensors")
        for tensor in read_header(file)
        if not tensor.name.startswith("lm_head.")
    }


def _python(python: Path, *arguments: str) -> None:
    subprocess.run([str(python), *arguments], cwd=ROOT, env=_environment(), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip


def _environment() -> dict[str, str]:
    cache = Path(tempfile.gettempdir()) / "paretoboard-bench-datasets"
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(cache),
    }
