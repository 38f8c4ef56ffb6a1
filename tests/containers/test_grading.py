"""From an upload to a score in containers: over HTTPS, with the database killed, and after a restore."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.containers.participants import status, submit, team, wait_for
from tests.containers.stack import base_model_archive, sections, wait

pytestmark = [pytest.mark.containers, pytest.mark.grading, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def scored(worker, tmp_path_factory):
    """An entry that was sent over HTTPS and graded although the database was killed; (token, submission).

    Certificates are from Caddy's own authority, which client and worker receive.
    """
    token = team(worker, "secure")
    worker.to_https()
    worker.compose("up -d worker")
    with worker.client(token, https=True) as client:
        pk = submit(client, base_model_archive(tmp_path_factory.mktemp("archive")))
        wait_for(client, pk, "running")
        worker.compose("kill -s KILL postgres")
        worker.compose("up -d --wait postgres")
        wait_for(client, pk, "scored", "failed", "rejected")
    return token, pk


def test_the_sandbox_is_the_strongest(worker):
    (command,) = [line for line in sections()["The box around the engine"] if "detect" in line]
    assert worker.run(command).split() == ["namespace"]


def test_doctor_has_nothing_to_say_but_about_mail(worker):
    wait(lambda: worker.doctor().get("worker worker-1") == "✓", "worker not seen", 120)
    assert {name for name, mark in worker.doctor().items() if mark != "✓"} <= {"mail"}


def test_a_second_worker_is_refused(worker):
    before = worker.containers()["worker"]["id"]
    out = worker.run("docker compose up -d --no-recreate --scale worker=2 worker 2>&1", check=False)
    assert "custom container name" in out, out
    assert worker.containers()["worker"]["id"] == before


def test_prefetch_may_write_where_the_worker_reads(worker):
    (command,) = [line for line in sections()["What talks to what"] if "assets.prefetch" in line]
    worker.run(command.replace("CONTEST", "demo"))
    worker.compose("run --rm -T prefetch touch /cache/brought /base_models/brought")
    worker.compose("exec -T worker ls /cache/brought /base_models/brought")
    assert worker.compose("exec -T worker sh -c 'touch /base_models/x || echo no'").strip() == "no"


def test_an_entry_over_https_past_a_killed_database_is_scored_once(scored, worker):
    token, pk = scored
    count = f"Result.objects.filter(evaluation__submission={pk}).count()"
    assert worker.shell(f"from leaderboard.models import Result; print({count})").split()[-1] == "1"
    with worker.client(token, https=True) as client:
        assert status(client, pk) == "scored"
        entries = client.get("/api/contests/demo/board").json()["entries"]
    assert json.dumps(entries).count("Team secure") == 1
    with worker.client() as client, pytest.raises(httpx.ConnectError):
        client.get("/healthz")  # the port of plain HTTP is not published
