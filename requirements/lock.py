"""Resolve the extras of pyproject.toml into one pinned file per environment: ``make lock``.

The environment for CUDA is resolved from the package index alone: a ``+cpu`` build of torch in a local wheel
folder requires none of the CUDA libraries, and pins without them do not fit the real build.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = {
    "site": ["site"],
    "grader-cpu": ["grader-cpu"],
    "grader-cuda": ["grader-cuda"],
    "baseline": ["baseline"],
    "demo": ["site", "embedded", "grader-cpu"],
    "dev": ["site", "embedded", "grader-cpu", "dev"],
}
ON_CUDA = {"grader-cuda"}
# Not needed without images, sound and a GPU, and a torchvision that does not match torch breaks every
# transformers import. The CUDA builds match.
LEFT_OUT = {"torchaudio", "torchcodec", "torchvision", "triton"}


def main(names: list[str]) -> None:
    for name in names or list(ENVIRONMENTS):
        print(f"resolving {name} …", file=sys.stderr, flush=True)
        (HERE / f"{name}.txt").write_text(resolve(ENVIRONMENTS[name]))


def resolve(extras: list[str]) -> str:
    """Return the pinned requirements of the project with some extras, one per line, sorted."""
    on_cuda = bool(ON_CUDA & set(extras))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--quiet", "--dry-run"]
        command += ["--ignore-installed", "--report", str(report)]
        command += [f"{HERE.parent}[{','.join(extras)}]", "setuptools<81"]
        if not on_cuda:
            command.append(
                "torch==2.13.0+cpu" if set(extras) & {"grader-cpu", "baseline"} else "pip"
            )
        environment = from_the_index_alone(Path(folder)) if on_cuda else None
        subprocess.run(command, check=True, env=environment)
        found = json.loads(report.read_text())["install"]
    pins = {item["metadata"]["name"]: item["metadata"]["version"] for item in found}
    normal = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins.items()}
    del normal["paretoboard"]
    left_out = set() if on_cuda else LEFT_OUT
    lines = [
        # `===` matches only the build without a suffix; `==` would accept a local `+cpu` build.
        f"{name}{'===' if on_cuda and name == 'torch' else '=='}{version}"
        for name, version in sorted(normal.items())
        if name not in left_out
    ]
    return (
        "# Resolved by requirements/lock.py from pyproject.toml; do not edit.\n"
        + "\n".join(lines)
        + "\n"
    )


def from_the_index_alone(folder: Path) -> dict[str, str]:
    """Return an environment in which pip sees its index, but no wheel folder, extra index or limit of this
    machine.

    pip ignores an empty variable, so each one names something empty in ``folder`` instead.
    """
    nothing, no_constraints = folder / "nothing", folder / "no-constraints.txt"
    nothing.mkdir()
    no_constraints.touch()
    return {
        **os.environ,
        "PIP_FIND_LINKS": str(nothing),
        "PIP_EXTRA_INDEX_URL": nothing.as_uri(),
        "PIP_CONSTRAINT": str(no_constraints),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
