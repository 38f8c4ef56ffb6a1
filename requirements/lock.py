"""Resolve the extras of pyproject.toml into one pinned file per environment: ``make lock``.

vLLM for CUDA pulls torch with its CUDA libraries, which only a machine with room for them resolves; its file
therefore pins everything else and is used as constraints (see install.py).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = {
    "site": ["site"],
    "grader-cpu": ["site", "grader-cpu"],
    "grader-cuda": ["grader-cuda"],
    "baseline": ["baseline"],
    "dev": ["site", "grader-cpu", "dev"],
}
# Not needed without images and sound, a gigabyte together, and a torchvision that does not match torch breaks
# every transformers import.
LEFT_OUT = {"torchaudio", "torchcodec", "torchvision", "triton", "paretoboard"}


def main(names: list[str]) -> None:
    for name in names or list(ENVIRONMENTS):
        print(f"resolving {name} …", file=sys.stderr, flush=True)
        (HERE / f"{name}.txt").write_text(resolve(ENVIRONMENTS[name]))


def resolve(extras: list[str]) -> str:
    """The pinned requirements of the project with some extras, one a line, sorted."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--dry-run",
            "--ignore-installed",
        ]
        command += ["--report", report.name, f"{HERE.parent}[{','.join(extras)}]", "setuptools<81"]
        if "grader-cuda" not in extras:
            command.append(
                "torch==2.13.0+cpu" if set(extras) & {"grader-cpu", "baseline", "dev"} else "pip"
            )
        subprocess.run(command, check=True)
        found = json.loads(Path(report.name).read_text())["install"]
    pins = {item["metadata"]["name"]: item["metadata"]["version"] for item in found}
    normal = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins.items()}
    if "grader-cuda" in extras:
        normal["torch"] = normal["torch"].partition("+")[
            0
        ]  # the build without suffix is the CUDA one
    lines = [
        f"{name}=={version}" for name, version in sorted(normal.items()) if name not in LEFT_OUT
    ]
    return (
        "# Resolved by requirements/lock.py from pyproject.toml; do not edit.\n"
        + "\n".join(lines)
        + "\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
