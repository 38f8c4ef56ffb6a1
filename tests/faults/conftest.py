"""A live site and real Celery GPU workers whose engine is the stub, which is fast enough to be killed often."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from leaderboard.models import Worker
from leaderboard.submissions import preflight
from tests import factories
from tests.live_requests import all_answered

ROOT = Path(__file__).resolve().parents[2]


class Box:
    """One GPU worker: a Celery main process and its children, in their own process group."""

    def __init__(self, name, site, folder, knobs, **variables) -> None:
        self.name, self.folder = name, folder / name
        self.folder.mkdir()
        _, token = Worker.issue("pbw", name=name)
        stub = f"{sys.executable} {ROOT / 'tests' / 'engine_stub.py'}"
        (self.folder / "knobs.json").write_text(json.dumps(knobs))
        env = {
            "GRADER_SITE_URL": site,
            "GRADER_TOKEN": token,
            "GRADER_NAME": name,
            "GRADER_SCRATCH": tempfile.mkdtemp(prefix="pb-"),  # short: sockets are in it
            "GRADER_CACHE": str(self.folder / "cache"),
            "GRADER_SANDBOX": "process",
            "GRADER_ENGINE": f"{stub} --knobs {self.folder / 'knobs.json'}",
        }
        celery = ["celery", "--app", "grader.worker.celery", "worker", "--queues", "gpu"]
        celery += ["--concurrency", "1", "--hostname", f"{name}@%h", "--loglevel", "INFO"]
        self.log = self.folder / "log"
        self.process = subprocess.Popen(
            [sys.executable, "-m", *celery],
            cwd=ROOT,
            env={**os.environ, **env, **variables},
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def kill(self, number=signal.SIGKILL) -> None:
        """Kill main process and children together, as a power cut would."""
        os.killpg(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.wait()


@pytest.fixture
def start_worker(live_server, tmp_path):
    boxes = []

    def start(name, environment=None, **knobs):
        boxes.append(Box(name, live_server.url, tmp_path, knobs, **(environment or {})))
        return boxes[-1]

    with all_answered():
        yield start
        for box in boxes:
            if box.process.poll() is None:
                box.kill()


@pytest.fixture
def enter_base_model(enter_unchecked):
    """Submit the demo base model as a team's archive and let preflight pass it."""

    def enter():
        evaluation = enter_unchecked()
        preflight.check(evaluation.pk)
        evaluation.refresh_from_db()
        assert evaluation.is_checked, evaluation.problems
        return evaluation

    return enter


@pytest.fixture
def enter_unchecked():
    """Submit the demo base model as a team's archive."""

    def enter():
        contest = factories.contest()
        base = contest.rules.base_folder
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name in ("config.json", "model.safetensors"):
                archive.write(base / name, name)
        team = factories.team(contest=contest)
        captain = team.memberships.get().user
        return factories.entered(contest=contest, user=captain, content=packed.getvalue())

    return enter


def wait_until(condition, patience_s=240.0):
    """Poll the database, as a person at the page would see it."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="module")
def _rigs(django_db_blocker):
    """The rig of one module: it lives through all its faults, and is replaced if one has broken it."""
    from tests.faults.rig import Rig

    rigs = []

    def current(drop=False):
        if drop:
            rigs.pop().close()
        elif not rigs:
            rigs.append(Rig().__enter__())
        return rigs[-1] if rigs else None

    with django_db_blocker.unblock():
        yield current
        if rigs:
            current(drop=True)


@pytest.fixture
def rig(_rigs):
    """A whole site; after the test every fault is undone and every invariant has to hold."""
    from tests.faults import invariants

    found = _rigs()
    yield found
    try:
        found.heal()
        invariants.check(found)
    except BaseException as error:
        error.add_note(f"logs: {found.keep_logs()}")
        _rigs(drop=True)
        raise
