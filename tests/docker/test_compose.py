"""The compose files: valid, complete, locked down, and running what the local stack runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from leaderboard.accounts.providers import ORIGINS
from leaderboard.local import stack
from tests.docker.reading import COMPOSE_FILES, DOCKER, ROOT, command_of, compose, program, tool

SERVICES = compose()["services"]
# Variables of Compose, of third-party images, and of these files themselves.
NOT_OURS = {
    "COMPOSE_FILE", "SITE_BIND", "SITE_PORT", "SITE_HOST", "CONTESTS_FOLDER", "BASE_MODELS_FOLDER",
    "GRAFANA_BIND", "GRAFANA_PORT", "GRAFANA_PASSWORD", "GF_SECURITY_ADMIN_PASSWORD",
    "GF_ANALYTICS_REPORTING_ENABLED", "GF_ANALYTICS_CHECK_FOR_UPDATES",
    "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH",
    "NVIDIA_DRIVER_CAPABILITIES", "GPU_ID", "SITE_MEMORY", "WORKER_MEMORY", "CA", "SSL_CERT",
    "COMPOSE_PROJECT_NAME", "PYTHON_IMAGE", "CUDA_IMAGE", "POSTGRES_IMAGE", "VALKEY_IMAGE", "CADDY_IMAGE",
    "CADDY_CERTIFICATES", "PROMETHEUS_IMAGE", "GRAFANA_IMAGE",
    "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD",
}  # fmt: skip
BY_HAND = {"compress", "prefetch"}
LONG_RUNNING = set(SERVICES) - {"migrate"} - BY_HAND
DEPLOYMENTS = [
    ["compose.yaml"],
    ["compose.yaml", "compose.cpu.yaml"],
    ["compose.yaml", "compose.gpu.yaml"],
    ["compose.yaml", "compose.gpu.yaml", "compose.https.yaml"],
    [
        "compose.yaml",
        "compose.cpu.yaml",
        "compose.https.yaml",
        "compose.https-internal.yaml",
    ],
    ["compose.yaml", "compose.gpu.yaml", "compose.remote-worker.yaml", "compose.private-ca.yaml"],
    ["compose.yaml", "compose.gpu.yaml", "compose.monitoring.yaml"],
    ["compose.yaml", "compose.gpu.yaml", "compose.hub.yaml"],
]


class Recorder:
    """Replaces ``Processes`` and starts nothing."""

    class Enough(Exception):
        pass

    def __init__(self) -> None:
        self.argv: dict[str, list[str]] = {}

    def start(self, name, argv, env, patience_s=0.0):
        self.argv[name] = argv

    def folder(self, prefix):
        return Path("/scratch")

    def check(self):
        raise self.Enough


def test_every_compose_file_belongs_to_a_deployment():
    """Compose validates each file against its own specification."""
    assert {name for files in DEPLOYMENTS for name in files} == {
        file.name for file in COMPOSE_FILES
    }


@pytest.mark.parametrize("files", DEPLOYMENTS, ids=" ".join)
def test_compose_itself_accepts_the_deployment(files, tmp_path):
    assert merged(tmp_path, files)["services"]["worker"]


def merged(tmp_path: Path, files: list[str], **environment: str) -> dict[str, Any]:
    """The deployment as Compose resolves it, with every profile and with all variables filled in."""
    for folder in ("docker", "docker/secrets"):
        (tmp_path / folder).mkdir(exist_ok=True)
    for file in COMPOSE_FILES:
        shutil.copy(file, tmp_path / "docker")
    program = tool("docker-compose")
    assert program, "docker-compose is missing: make install-test"
    arguments = [part for file in files for part in ("--file", str(tmp_path / "docker" / file))]
    needed = {
        "SITE_HOST": "contest.example.org",
        "GRADER_SITE_URL": "https://contest.example.org",
        "CA_FILE": "./ca.pem",
    }
    done = subprocess.run(
        [program, *arguments, "--profile", "*", "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **needed, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("files", DEPLOYMENTS, ids=" ".join)
def test_each_image_is_built_by_one_service_and_pulled_by_none_that_shares_it(files, tmp_path):
    services = merged(tmp_path, files)["services"]
    for image in {service["image"] for service in services.values()}:
        users = [service for service in services.values() if service["image"] == image]
        builders = [service for service in users if "build" in service]
        if image.startswith("paretoboard-"):
            assert len(builders) == 1, image
            assert all(s["pull_policy"] == "never" for s in users if "build" not in s), image


@pytest.mark.parametrize("files", DEPLOYMENTS, ids=" ".join)
def test_prefetch_writes_with_the_workers_image_where_the_worker_reads(files, tmp_path):
    services = merged(tmp_path, files)["services"]
    prefetch, worker = services["prefetch"], services["worker"]
    assert prefetch["image"] == worker["image"]
    for folder in ("/cache", "/base_models"):
        written, read = (_mount(service, folder) for service in (prefetch, worker))
        assert written["source"] == read["source"]
        assert not written.get("read_only")
    assert list(prefetch["networks"]) == ["public"]


def _mount(service: dict[str, Any], folder: str) -> dict[str, Any]:
    (found,) = [mount for mount in service["volumes"] if mount["target"] == folder]
    return found


def test_the_sites_own_address_follows_its_port(tmp_path):
    def address(**environment: str) -> str:
        site = merged(tmp_path, ["compose.yaml"], **environment)["services"]["site"]
        return site["environment"]["SITE_URL"]

    assert address() == "http://localhost:8000"
    assert address(SITE_PORT="8080") == "http://localhost:8080"
    assert address(SITE_PORT="8080", SITE_URL="https://a.example") == "https://a.example"


def test_gpu_is_chosen_by_its_id_and_a_second_worker_cannot_be_scaled_up(tmp_path):
    services = merged(tmp_path, ["compose.yaml", "compose.gpu.yaml"], GPU_ID="3")["services"]
    (device,) = services["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["device_ids"] == ["3"]
    assert "count" not in device
    assert services["worker"]["container_name"] == "paretoboard-worker"


def test_what_steps_down_from_root_may_still_be_stopped_by_its_init():
    """Without CAP_KILL, tini as root cannot forward SIGTERM to another user, and PostgreSQL would be killed."""
    stepping = [s for s in SERVICES.values() if "SETUID" in s.get("cap_add", [])]
    assert len(stepping) == 1
    assert all(service["init"] and "KILL" in service["cap_add"] for service in stepping)


def test_database_is_asked_over_tcp_because_the_one_that_makes_it_listens_on_a_socket():
    check = SERVICES["postgres"]["healthcheck"]["test"]
    assert check[check.index("--host") + 1] == "127.0.0.1"


@pytest.mark.parametrize("files", DEPLOYMENTS, ids=" ".join)
def test_memory_of_every_service_is_limited_but_that_of_what_grades_and_compresses(files, tmp_path):
    services = merged(tmp_path, files)["services"]
    unlimited = {name for name, service in services.items() if "mem_limit" not in service}
    assert unlimited == {"worker", *BY_HAND}
    assert "mem_limit" in merged(tmp_path, files, WORKER_MEMORY="8g")["services"]["worker"]


@pytest.mark.django_db
def test_services_run_what_the_local_stack_runs():
    local = Recorder()
    with pytest.raises(Recorder.Enough):
        stack.start_site(local, 8000)
    stack.start_gpu_worker(local, "http://site")
    started = {name: program(argv) for name, argv in local.argv.items()}

    assert program(command_of("site")) == started["site"]
    assert program(command_of("worker")) == started["gpu-worker"]
    assert program(command_of("check-worker")) == started["check-worker"]
    # One process on a laptop is two services here, because there can be many workers but only one beat.
    worker, beat = program(command_of("site-worker")), program(command_of("beat"))
    together = started["site-worker"]
    assert (worker.module, worker.application, worker.queue, worker.node) == (
        together.module, together.application, together.queue, together.node,
    )  # fmt: skip
    assert beat.application == worker.application
    assert worker.roles | beat.roles == together.roles
    assert not worker.roles & beat.roles


def test_migrate_runs_once_and_everything_of_the_site_waits_for_it():
    assert SERVICES["migrate"]["restart"] == "no"
    script = SERVICES["migrate"]["command"][-1]
    assert re.findall(r"django (\w+)", script) == ["check", "migrate", "collectstatic"]
    for name in ("site", "check-worker", "site-worker", "beat"):
        waits_for = SERVICES[name]["depends_on"]["migrate"]["condition"]
        assert waits_for == "service_completed_successfully"


def test_every_variable_is_one_that_the_code_reads():
    assert _offered() - NOT_OURS <= _read_by_site() | _read_by_worker()


def test_every_variable_that_the_code_reads_is_offered():
    assert _read_by_site() | _read_by_worker() <= _offered()


def test_example_defaults_are_those_of_the_compose_file():
    example = dict(re.findall(r"^#? ?([A-Z_]+)=(.*)$", _example(), re.MULTILINE))
    text = (DOCKER / "compose.yaml").read_text().replace("${SITE_PORT:-8000}", "8000")
    found = re.findall(r"\$\{([A-Z_]+):-([^}]+)\}", text)
    assert len(found) > 10
    for name, default in found:
        if name != "COMPOSE_PROJECT_NAME":
            assert example[name] == default


def test_no_secret_is_written_into_a_container_definition():
    for name, service in SERVICES.items():
        for variable in service.get("environment", {}):
            if re.search(r"SECRET|PASSWORD|TOKEN|DATABASE_URL", variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                secret = Path(service["environment"][variable]).name
                assert secret in service["secrets"]


def test_worker_reaches_site_and_broker_and_nothing_else():
    assert SERVICES["worker"]["networks"] == ["grading"]
    on_it = {name for name, service in SERVICES.items() if "grading" in service.get("networks", [])}
    assert on_it == {"site", "valkey", "worker"}
    assert compose()["networks"]["grading"] == {"internal": True}


def test_only_the_hub_gives_the_worker_a_way_out():
    worker = compose(DOCKER / "compose.hub.yaml")["services"]["worker"]
    assert worker == {"networks": ["grading", "public"]}
    assert SERVICES["site"]["environment"]["HUB_ENTRIES"] == "${HUB_ENTRIES:-0}"


def test_what_sends_mail_and_webhooks_has_a_way_out():
    assert "public" in SERVICES["site-worker"]["networks"]
    assert "public" in SERVICES["check-worker"]["networks"]  # and what reads the Hub
    assert "internal" not in compose()["networks"]["public"]


def test_database_is_on_the_inner_network_only():
    assert SERVICES["postgres"]["networks"] == ["data"]
    assert compose()["networks"]["data"] == {"internal": True}
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["site"]


@pytest.mark.parametrize("name", sorted(LONG_RUNNING))
def test_service_restarts_and_has_a_health_check(name):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    image_has_one = service["image"].startswith("paretoboard-")  # both Dockerfiles declare one
    assert "healthcheck" in service or image_has_one


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_has_a_read_only_root_and_no_capabilities_to_spare(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_everything_a_service_names_is_defined(name):
    whole, service = compose(), SERVICES[name]
    assert set(service["networks"]) <= set(whole["networks"])
    assert set(service.get("secrets", [])) <= set(whole["secrets"])
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    mounted = {volume.partition(":")[0] for volume in service.get("volumes", [])}
    assert {source for source in mounted if source[0] not in "./$"} <= set(whole["volumes"])


def _example() -> str:
    return (DOCKER / ".env.example").read_text("utf-8")


def _offered() -> set[str]:
    """Names in the compose files and in ``.env.example``; ``NAME_FILE`` offers ``NAME``."""
    names = set(re.findall(r"\b([A-Z][A-Z_]+)=", _example()))
    names |= set(re.findall(r"\b([A-Z][A-Z_]+_FILE)\b", _example())) - {"COMPOSE_FILE"}
    for file in COMPOSE_FILES:
        names |= set(re.findall(r"\$\{([A-Z_]+)", file.read_text("utf-8")))
        for service in compose(file)["services"].values():
            names |= set(service.get("environment", {}))
    return {name if name == "COMPOSE_FILE" else name.removesuffix("_FILE") for name in names}


def _read_by_site() -> set[str]:
    text = (ROOT / "leaderboard" / "settings.py").read_text("utf-8")
    named = set(re.findall(r"env\.(?:text|flag|words)\(\s*\"(\w+)\"", text))
    providers = {f"SOCIAL_{name.upper()}_{part}" for name in ORIGINS for part in ("ID", "SECRET")}
    return named | providers | {"SOCIAL_OPENID_CONNECT_URL", "SOCIAL_OPENID_CONNECT_NAME"}


def _read_by_worker() -> set[str]:
    text = (ROOT / "grader" / "worker" / "settings.py").read_text("utf-8")
    return set(re.findall(r"\"((?:GRADER_\w+)|REDIS_URL)\"", text))
