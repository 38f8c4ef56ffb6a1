"""The containers' health checks: what they check, and that they do not disturb a running speed test."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from grader import health
from grader.worker.celery import app as worker_app
from leaderboard.celery import app as site_app
from tests.docker.reading import DOCKER


def check(tmp_path, what, *python):
    environment = {"HEALTH_FILE": str(tmp_path / "alive"), "PARETOBOARD_HOME": str(tmp_path)}
    argv = [sys.executable, *python, DOCKER / "healthcheck.py", what]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("what", "name"), [("queue", "alive"), ("beat", "celerybeat-schedule")])
def test_healthy_while_the_file_is_touched(what, name, tmp_path):
    assert check(tmp_path, what).returncode == 1
    file = tmp_path / name
    file.touch()
    assert check(tmp_path, what).returncode == 0
    long_ago = time.time() - 3600
    os.utime(file, (long_ago, long_ago))
    assert check(tmp_path, what).returncode == 1


def test_the_check_imports_neither_celery_nor_django(tmp_path):
    (tmp_path / "alive").touch()
    done = check(tmp_path, "queue", "-X", "importtime")
    assert done.returncode == 0
    assert "http.client" in done.stderr
    assert not {"celery", "django", "kombu"} & {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()
    }


@pytest.mark.parametrize("app", [worker_app, site_app], ids=["worker", "site"])
def test_a_celery_worker_touches_its_file_anew_with_each_connection(app, tmp_path, monkeypatch):
    monkeypatch.setenv("HEALTH_FILE", str(tmp_path / "alive"))
    (step,) = [step for step in app.steps["consumer"] if step.__name__ == "Health"]

    class Consumer:
        class timer:
            calls: list = []

            @classmethod
            def call_repeatedly(cls, seconds, call):
                cls.calls.append((seconds, call))

    consumer = Consumer()
    for _ in range(2):
        step(consumer).start(consumer)
        assert (tmp_path / "alive").exists()
        (tmp_path / "alive").unlink()
    assert [seconds for seconds, _ in Consumer.timer.calls] == [health.TOUCH_EVERY_S] * 2
    Consumer.timer.calls[0][1]()
    assert (tmp_path / "alive").exists()


def test_without_a_container_nothing_is_touched(monkeypatch):
    monkeypatch.delenv("HEALTH_FILE", raising=False)
    health.touch_regularly(lambda seconds, call: pytest.fail("nobody looks at the file"))
