"""The site's image and stack: started as the page says, checked by doctor and gallery, stopped cleanly."""

from __future__ import annotations

import re

import pytest

from tests.containers.stack import sections, wait

pytestmark = [pytest.mark.containers, pytest.mark.timeout(3600)]
SITE = ("site", "check-worker", "site-worker", "beat", "postgres", "valkey")


def test_the_page_starts_a_site_that_its_doctor_finds_well(site):
    wait(lambda: site.doctor().get("beat") == "✓", "beat has not rung", 120)
    findings = site.doctor()
    assert {name for name, mark in findings.items() if mark == "✗"} == set()
    unwell = {name for name, mark in findings.items() if mark == "!"}
    assert unwell <= {"mail", "worker worker-1"}, findings
    with site.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/contests/demo/").status_code == 200


def test_migrate_waited_for_the_real_server(site):
    """The database's first server, which answers only on its socket, for eight seconds."""
    migrate = site.containers()["migrate"]
    assert (migrate["state"], migrate["exit"]) == ("exited", 0)


def test_the_quick_gallery_gets_its_verdicts(site):
    out = site.manage("selftest --url http://localhost:8000 --quick --grade 0")
    right, _, of = out.strip().splitlines()[-1].partition("/")
    assert right == of
    assert int(of) >= 60


def test_a_second_up_makes_nothing_anew(site):
    before = {name: each["id"] for name, each in site.containers().items()}
    site.compose("up -d site check-worker site-worker beat")
    site.wait_healthy(*SITE)
    after = {name: each["id"] for name, each in site.containers().items()}
    assert after == before


def test_all_that_runs_the_sites_code_is_one_image(site):
    now = site.containers()
    assert (
        len(
            {
                now[name]["image"]
                for name in ("migrate", "site", "check-worker", "site-worker", "beat")
            }
        )
        == 1
    )


def test_postgres_shuts_down_cleanly(site):
    site.compose("stop postgres")
    assert site.containers()["postgres"]["exit"] == 0
    assert "database system is shut down" in site.compose("logs --no-log-prefix postgres")
    site.compose("start postgres")
    site.wait_healthy(*SITE)
    assert "not properly shut down" not in site.compose("logs --no-log-prefix postgres")


def test_a_second_addworker_leaves_the_token_of_the_first(site):
    (command,) = [line for line in sections()["Start"] if "addworker" in line]
    token = (site.docker / "secrets" / "grader_token").read_text()
    assert re.fullmatch(r"\S{20,}", token)
    site.run(command, check=False)
    assert (site.docker / "secrets" / "grader_token").read_text() == token


def test_nothing_of_ours_runs_as_root_or_writes_to_its_image(site):
    for service in ("site", "check-worker", "site-worker", "beat"):
        assert site.compose(f"exec -T {service} id -u").strip() == "10001"
        touched = site.compose(f"exec -T {service} sh -c 'touch /app/x 2>/dev/null; echo $?'")
        assert touched.strip() != "0"
    assert site.compose("exec -T site grep CapEff /proc/1/status").split()[1].strip("0") == ""
