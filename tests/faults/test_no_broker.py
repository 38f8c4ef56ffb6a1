"""A site worker that never reaches its broker: what was entered is checked all the same."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from leaderboard.local.processes import Processes
from leaderboard.local.stack import start_site_workers
from tests.faults.conftest import ROOT, wait_until
from tests.leaderboard.accounts.test_accounts import database

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def environment(settings):
    return {
        "PARETOBOARD_HOME": str(settings.HOME),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
        **database(),
    }


def test_checks_go_on_and_kill_9_leaves_no_process(enter_unchecked, environment, tmp_path):
    evaluation = enter_unchecked()

    def is_checked():
        processes.check()
        evaluation.refresh_from_db()
        return evaluation.is_checked

    with Processes(tmp_path / "log") as processes:
        start_site_workers(processes, environment)
        wait_until(is_checked)
        for worker in processes.children:
            said = worker.log.read_text()
            assert "Connection refused" in said
            assert "ready." not in said  # Celery has never begun to consume
            family = psutil.Process(worker.process.pid).children(recursive=True)
            (companion,) = [child for child in family if "sweep" in child.cmdline()]
            worker.process.kill()
            psutil.wait_procs([companion], timeout=60)
            assert not companion.is_running()


def test_one_sweep_by_hand_makes_them_too(enter_unchecked, environment):
    evaluation = enter_unchecked()
    command = [sys.executable, "-m", "django", "sweep"]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True)
    evaluation.refresh_from_db()
    assert evaluation.is_checked
