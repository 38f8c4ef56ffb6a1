"""Folders of an attempt are removed even if an engine left files in them, and no report is lost."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from grader.worker import workspace
from grader.worker.settings import Settings


@pytest.fixture
def settings(scratch):
    return Settings(scratch=scratch)


@pytest.fixture
def strict(monkeypatch):
    """Permissions count even if root runs the tests."""
    real = shutil.rmtree

    def rmtree(folder):
        for place, _, _ in os.walk(folder):
            if not stat.S_IMODE(os.stat(place).st_mode) & stat.S_IRWXU == stat.S_IRWXU:
                raise PermissionError(13, "Permission denied", place)
        real(folder)

    monkeypatch.setattr(shutil, "rmtree", rmtree)


def close(folder: Path) -> None:
    inner = folder / "candidate" / "x" / "y"
    inner.mkdir(parents=True)
    (inner / "file").write_text("left")
    (folder / "candidate" / "out").symlink_to("/etc")
    inner.chmod(0)
    inner.parent.chmod(0)


def test_what_an_engine_made_unreadable_is_removed(settings, strict):
    with workspace.create(settings) as folder:
        close(folder)
    assert not folder.exists()
    assert stat.S_IMODE(os.stat("/etc").st_mode) != 0o700  # links are not followed


def test_a_leftover_that_cannot_be_removed_stops_no_worker(settings, monkeypatch, caplog):
    leftover = settings.scratch / f"{workspace.PREFIX}dead"
    leftover.mkdir(parents=True)

    def rmtree(folder):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", rmtree)
        with workspace.exclusive(settings) as alone:
            assert alone
        assert "could not remove" in caplog.text
        with workspace.create(settings) as folder:
            assert folder.is_dir()
