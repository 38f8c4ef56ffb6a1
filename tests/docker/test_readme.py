"""What docker/README.md runs inside containers exists."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest

from tests.docker.reading import DOCKER

TEXT = (DOCKER / "README.md").read_text("utf-8")


@pytest.mark.parametrize("code", re.findall(r'python -c "([^"]+)"', TEXT))
def test_its_python_runs(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_its_modules_exist():
    modules = set(re.findall(r"python -m ([\w.]+)", TEXT))
    assert "grader.assets.prefetch" in modules
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []
