"""HTTPS and backups: dump, an empty machine, restore, with the commands of docker/README.md."""

from __future__ import annotations

import httpx
import pytest

from tests.containers.participants import submit, team, wait_for
from tests.containers.stack import base_model_archive, sections, wait

pytestmark = [pytest.mark.containers, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def entered(site, tmp_path_factory):
    """An entry that was sent over HTTPS and passed the site's own checks; (token, submission)."""
    site.to_https()
    token = team(site, "kept")
    with site.client(token, https=True) as client:
        pk = submit(client, base_model_archive(tmp_path_factory.mktemp("archive")))
        wait_for(client, pk, "queued")
    code = f"from leaderboard.models import Evaluation as E; print(E.objects.get(submission={pk}).is_checked)"
    wait(lambda: site.shell(code).endswith("True"), "not checked", 300)
    return token, pk


def test_the_site_answers_over_https_alone(entered, site):
    token, pk = entered
    with site.client(token, https=True) as client:
        assert client.get("/api/me").status_code == 200
        assert client.get("/").headers["strict-transport-security"]
    with site.client() as client, pytest.raises(httpx.ConnectError):
        client.get("/healthz")


def test_a_backup_brings_everything_back_byte_for_byte(entered, site):
    token, pk = entered
    addresses = [
        f"/api/submissions/{pk}",
        "/api/contests/demo/board",
        "/api/contests/demo",
        "/api/me",
    ]
    commands = sections()["Updates and backup"]
    first = next(i for i, line in enumerate(commands) if "pg_dump" in line)
    restore = next(i for i, line in enumerate(commands) if line.startswith("tar -xf settings"))
    files = "exec -T site find /data/uploads -type f -size +0 -exec sha256sum {} +"

    def seen() -> list[bytes | str]:
        with site.client(token, https=True) as client:
            return [
                *(client.get(a).content for a in addresses),
                *sorted(site.compose(files).split("\n")),
            ]

    before = seen()
    assert len(before) > len(addresses) + 1
    for command in commands[first:restore]:
        site.run(command)
    site.down()
    site.run("rm -r secrets .env")
    for command in commands[restore:]:
        # Only the grading tests need the worker's image.
        only = (
            " site check-worker site-worker beat caddy" if command == "docker compose up -d" else ""
        )
        site.run(command + only)
    site.wait_healthy("site", "check-worker", "site-worker", "caddy")
    site.fetch_ca()
    assert seen() == before
