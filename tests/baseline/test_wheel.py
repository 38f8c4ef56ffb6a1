"""The wheel in a separate environment, with only the packages it declares.

They are not downloaded again but linked from the environment that runs the tests.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from grader.problems.catalogue import CATALOGUE
from tests.baseline.conftest import ROOT

SOURCE = ("pyproject.toml", "README.md", "LICENSE", "grader", "baseline")


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    """``baseline("--help")`` runs the installed console script."""
    root = tmp_path_factory.mktemp("wheel")
    source = root / "source"
    source.mkdir()
    for name in SOURCE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    quietly(*pip, "wheel", "--no-build-isolation", "--no-deps", "-w", root, source)
    (wheel,) = root.glob("*.whl")
    quietly(sys.executable, "-m", "venv", "--without-pip", root / "env")
    python = root / "env" / "bin" / "python"
    quietly(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel)
    (packages,) = (root / "env" / "lib").glob("python3*/site-packages")
    link_dependencies(packages, declared(wheel_name="paretoboard"))

    def call(*arguments):
        environment = {"PATH": os.environ["PATH"], "HOME": str(root), "LANG": "C.UTF-8"}
        return subprocess.run(
            [root / "env" / "bin" / "baseline", *map(str, arguments)],
            cwd=root, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return call


def quietly(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def declared(wheel_name):
    """Return the distributions that ``pip install`` would install: requirements without extras, recursively."""
    found, waiting = set(), [wheel_name]
    while waiting:
        for text in importlib.metadata.requires(waiting.pop()) or []:
            needed = Requirement(text)
            name = re.sub(r"[-_.]+", "-", needed.name).lower()
            if name not in found and (
                needed.marker is None or needed.marker.evaluate({"extra": ""})
            ):
                found.add(name)
                waiting.append(name)
    return found


def link_dependencies(packages, names):
    for name in names:
        distribution = importlib.metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files or [] if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            target = Path(distribution.locate_file(top))
            if not (packages / top).exists():
                (packages / top).symlink_to(target)


def test_it_starts_and_lists_its_commands(baseline):
    done = baseline("--help")
    assert done.returncode == 0, done.stderr
    assert {"compress", "measure", "history", "submit"} <= set(done.stdout.split())


def test_recipes_and_contests_are_inside(baseline):
    listed = json.loads(baseline("recipes", "--json").stdout)["recipes"]
    assert "w4a16-gptq" in [recipe["name"] for recipe in listed]
    base = ROOT / "grader" / "contests" / "demo" / "base_model"
    done = baseline("check", base, "--contest", "demo")
    assert done.returncode == 0, done.stderr
    assert baseline("inspect", base, "--contest", "aimers8", "--json").returncode == 0


def test_problem_texts_are_inside(baseline, tmp_path):
    (tmp_path / "config.json").write_text("[]")
    done = baseline("check", tmp_path, "--contest", "demo")
    assert done.returncode == 1, done.stderr
    kind = CATALOGUE["LAYOUT_NO_WEIGHTS"]
    said = " ".join((done.stdout + done.stderr).split())
    assert "LAYOUT_NO_WEIGHTS" in said and kind.sentence("en") in said


def test_what_needs_more_says_what_to_install(baseline, tmp_path):
    base = ROOT / "grader" / "contests" / "demo" / "base_model"
    for command in (
        ("compress", "-r", "w8a8-rtn", "-m", base, "-o", tmp_path / "out"),
        ("measure", base, "-c", "demo"),
    ):
        done = baseline(*command)
        assert done.returncode == 4 and "PACKAGE_MISSING" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
