"""Compress the demo's base model by every recipe, check and grade each, write the table and the plot.

    python docs/compare_recipes.py               what is missing or out of date; about a minute a recipe
    python docs/compare_recipes.py awq-w4a16     this one again

Results are kept in ``docs/recipes.json``, one after the other, so that an interrupted run goes on where it was.
``python docs/generate.py`` writes the pages anew from that file without measuring.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "recipes.json"
COMPRESS = Path(os.environ.get("COMPRESS_PYTHON", ROOT / ".venv-compress" / "bin" / "python"))


def main(wanted: list[str]) -> int:
    from baseline.checkpoint.contests import rules
    from baseline.compression import recipe

    contest = rules("demo")
    unknown = set(wanted) - set(recipe.names())
    if unknown:
        print(f"no such recipe: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    results: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for name in recipe.names():
        used = recipe.as_document(recipe.load(name))
        known = results.get(name, {})
        fresh = known.get("recipe") == used and known.get("contest_sha256") == contest.sha256
        if name in wanted or (not wanted and not fresh):
            print(f"{name} …", file=sys.stderr)
            results[name] = measured(name, contest.base_folder) | {"recipe": used}
            RESULTS.write_text(dump(results), "utf-8")
    return subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py")], check=False
    ).returncode


def measured(name: str, base: Path) -> dict[str, Any]:
    """What the three commands say that a participant would type; a failure of one ends the run."""
    with tempfile.TemporaryDirectory(prefix="recipes-") as folder:
        checkpoint = f"{folder}/{name}"
        done = _baseline(COMPRESS, "compress", "--recipe", name, "--model", str(base),
                         "--output", checkpoint, "--contest", "demo")  # fmt: skip
        checked = _baseline(Path(sys.executable), "check", checkpoint, "--contest", "demo")
        state = {"XDG_STATE_HOME": f"{folder}/state"}
        _baseline(Path(sys.executable), "measure", checkpoint, "--contest", "demo", "--no-rank", "--note",
                  name, env=state)  # fmt: skip
        (line,) = (
            Path(folder, "state", "paretoboard", "history.jsonl").read_text("utf-8").splitlines()
        )
    keep = ("contest_sha256", "score", "half_width", "terms", "board", "benchmarks", "speed", "scheme",
            "safetensors_bytes", "device", "questions", "contest", "when")  # fmt: skip
    record = json.loads(line)
    return {key: record[key] for key in keep} | {
        "notices": [notice["code"] for notice in checked["notices"]],
        "compress_s": round(sum(done["durations_s"].values()), 1),
        "versions": done["versions"],
        "calibration": done["data"] and {k: done["data"][k] for k in ("samples", "sha256")},
    }


def dump(results: dict[str, Any]) -> str:
    """Readable, with the answers to all questions as a string of digits where they are right or wrong."""
    for result in results.values():
        for answers in result["questions"].values():
            values = answers["values"]
            if isinstance(values, list) and all(value in (0, 1) for value in values):
                answers["values"] = "".join(str(int(value)) for value in values)
    return json.dumps(results, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _baseline(python: Path, *arguments: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    command = [str(python), "-m", "baseline", *arguments, "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | (env or {})
    done = subprocess.run(
        command, env=environment, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}"
        )
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
