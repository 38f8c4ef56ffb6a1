"""The installer: packages before the project, and nothing that is already installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INSTALL = Path(__file__).resolve().parent.parent.parent / "requirements" / "install.py"
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "tiny"
version = "1"
[tool.setuptools]
py-modules = []
"""


@pytest.mark.registry
def test_packages_are_installed_before_there_is_a_project_and_not_again_with_it(tmp_path):
    """As in the Dockerfiles: the layer of packages is built from the lock alone."""
    (tmp_path / "requirements").mkdir()
    shutil.copy(INSTALL, tmp_path / "requirements")
    (tmp_path / "requirements" / "tiny.txt").write_text("iniconfig==2.1.0\nsetuptools==80.10.2\n")

    def install() -> str:
        argv = [sys.executable, "requirements/install.py", "tiny=venv"]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stderr

    def has(name: str) -> bool:
        argv = [tmp_path / "venv/bin/python", "-m", "pip", "show", "--quiet", name]
        return not subprocess.run(argv, capture_output=True, check=False).returncode

    assert "installing 2 packages" in install()
    assert (has("iniconfig"), has("tiny")) == (True, False)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    assert "installing" not in install()
    assert (has("iniconfig"), has("tiny")) == (True, True)
    assert install() == ""
