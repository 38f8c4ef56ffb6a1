"""Temporary folders of the site: kept as long as their process lives, removed once it is gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from leaderboard.storage import scratch

HOLD = """
import time
from leaderboard.storage import scratch
with scratch.folder("check-") as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def test_folder_is_gone_at_the_end_even_after_an_error(settings):
    with pytest.raises(RuntimeError), scratch.folder("check-") as folder:
        (folder / "file").write_text("x")
        raise RuntimeError
    assert list((settings.HOME / "scratch").iterdir()) == []


def test_folder_of_a_living_process_stays_and_that_of_a_killed_one_goes(settings):
    environment = os.environ | {
        "PARETOBOARD_HOME": str(settings.HOME),
        "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
    }
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
        path = other.stdout.readline().strip()
        with scratch.folder("own-") as own:
            scratch.remove_abandoned()
            assert own.is_dir()
            assert os.path.isdir(path)
            other.kill()
            other.wait()
            scratch.remove_abandoned()
            assert own.is_dir()
    assert list((settings.HOME / "scratch").iterdir()) == []
