"""One deployment in containers, in a copy of the checkout, driven by the commands of docker/README.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

import docker
from tests.containers import bootstrap

PROJECT = "paretoboard-test"
HOST = "contest.test"
HTTPS = ("compose.https.yaml", "compose.https-internal.yaml", "compose.private-ca.yaml")
PASSWORD = "long-and-of-no-use-elsewhere"
# Replaces prompts on a terminal.
ANSWERS = {
    "exec site python -m django createsuperuser": (
        f"exec -T -e DJANGO_SUPERUSER_PASSWORD={PASSWORD} site python -m django createsuperuser "
        "--no-input --username staff --email staff@example.org"
    )
}
# The database's first start is slow, as on a slow disk: a health check that is too eager would report it ready.
SLOW_START = """services:
  postgres:
    environment: { SLOW_FIRST_START_S: "8" }
"""


def engine() -> dict[str, str]:
    """The variables by which Compose finds an engine: this machine's own, or one made for the tests."""
    try:
        with closing(docker.from_env()) as found:
            found.ping()
        return {}
    except docker.errors.DockerException:
        return bootstrap.start()


def sections() -> dict[str, list[str]]:
    """The commands of docker/README.md under each heading, in order, without trailing comments."""
    text = (bootstrap.ROOT / "docker" / "README.md").read_text("utf-8")
    found = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"```bash\n(.*?)```", part, re.DOTALL)
        lines = [line.partition("  #")[0].strip() for line in "".join(blocks).splitlines()]
        found[part.partition("\n")[0]] = [line for line in lines if line and line != "cd docker"]
    return found


@dataclass
class Stack:
    """A copy of the checkout with its ``.env``. Every command runs in its ``docker`` folder."""

    folder: Path
    engine: dict[str, str]
    files: list[str] = field(default_factory=lambda: ["compose.yaml", "compose.cpu.yaml"])
    port: int = 0

    @classmethod
    def create(cls, folder: Path, variables: dict[str, str]) -> Stack:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=bootstrap.ROOT, capture_output=True, check=True).stdout
        for name in names.decode().split("\0"):
            if (source := bootstrap.ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        stack = cls(folder, variables, port=port)
        (stack.docker / "compose.test.yaml").write_text(SLOW_START)
        return stack

    @property
    def docker(self) -> Path:
        return self.folder / "docker"

    def write_env(self, *files: str) -> None:
        """What an operator would set in ``.env``, with the base images where a mirror is set."""
        images = {k: v for k, v in self.engine.items() if k.endswith("_IMAGE")}
        chosen = {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_FILE": ":".join([*self.files, *files, "compose.test.yaml"]),
            "SITE_PORT": str(self.port),
            "SITE_HOST": HOST,
            "CA_FILE": "./ca.pem",
            "GRADER_ENFORCE_EAGER": "1",
            **images,
        }
        text = (self.docker / ".env.example").read_text()
        text = re.sub(r"^(COMPOSE_FILE)=.*$", "", text, flags=re.MULTILINE)
        lines = [f"{name}={value}" for name, value in chosen.items()]
        (self.docker / ".env").write_text(text + "\n".join(lines) + "\n")

    def run(self, command: str, *, check: bool = True, stdin: Path | None = None) -> str:
        """Run a line as an operator types it; returns its output."""
        for asked, answered in ANSWERS.items():
            command = command.replace(asked, answered)
        environment = {**os.environ, **{k: v for k, v in self.engine.items() if k[-6:] != "_IMAGE"}}
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.docker,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout

    def compose(self, arguments: str, *, check: bool = True) -> str:
        return self.run(f"docker compose {arguments}", check=check)

    def manage(self, arguments: str, *, check: bool = True) -> str:
        return self.compose(f"exec -T site python -m django {arguments}", check=check)

    def shell(self, code: str) -> str:
        """Run Python in the site's container, where no command does the job."""
        return self.manage(f"shell --no-imports -c '{code}'").strip()

    def containers(self) -> dict[str, dict[str, Any]]:
        """service → id, state, health, exit code; for all services that are not run by hand."""
        ids = self.compose("ps --all --quiet").split()
        with closing(docker.DockerClient(**self._client())) as client:
            found = [client.containers.get(identity).attrs for identity in ids]
        return {
            each["Config"]["Labels"]["com.docker.compose.service"]: {
                "id": each["Id"],
                "image": each["Image"],
                "state": each["State"]["Status"],
                "exit": each["State"]["ExitCode"],
                "health": each["State"].get("Health", {}).get("Status"),
            }
            for each in found
        }

    def wait_healthy(self, *services: str, seconds: float = 300) -> None:
        def all_healthy() -> bool:
            now = self.containers()
            return all(now.get(name, {}).get("health") == "healthy" for name in services)

        wait(all_healthy, f"{services} not healthy", seconds, lambda: str(self.containers()))

    def doctor(self) -> dict[str, str]:
        """subject → ✓, ! or ✗, the worst finding of each."""
        found: dict[str, str] = {}
        for line in self.manage("doctor", check=False).splitlines():
            if match := re.match(r"([✓!✗]) ([^:]+):", line):
                mark, subject = match.groups()
                found[subject] = max(found.get(subject, "✓"), mark, key="✓!✗".index)
        return found

    def client(self, token: str = "", *, https: bool = False) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if not https:
            return httpx.Client(
                base_url=f"http://localhost:{self.port}", headers=headers, timeout=60
            )
        context = ssl.create_default_context(cafile=str(self.docker / "ca.pem"))
        return httpx.Client(
            base_url="https://127.0.0.1",
            headers={"Host": HOST, **headers},
            transport=_Named(verify=context),
            timeout=60,
        )

    def to_https(self) -> None:
        """Put Caddy in front, with certificates of its own authority, which clients and worker receive."""
        (self.docker / "ca.pem").touch()
        self.write_env(*HTTPS)
        self.compose("up -d site check-worker site-worker beat caddy")
        self.wait_healthy("site", "caddy")
        self.fetch_ca()

    def fetch_ca(self) -> None:
        self.compose("cp caddy:/data/caddy/pki/authorities/local/root.crt ca.pem")
        (self.docker / "ca.pem").chmod(0o644)

    def down(self) -> None:
        self.compose("--profile '*' down --volumes --remove-orphans", check=False)

    def _client(self) -> dict[str, str]:
        host = self.engine.get("DOCKER_HOST", os.environ.get("DOCKER_HOST", ""))
        return {"base_url": host} if host else {}


class _Named(httpx.HTTPTransport):
    """Connects to 127.0.0.1 for ``HOST``, also in TLS, because no name server knows it."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = HOST
        return super().handle_request(request)


def wait(
    true: Callable[[], bool], otherwise: str, seconds: float, tell: Callable[[], str] = str
) -> None:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise AssertionError(f"{otherwise} after {seconds:.0f} s\n{tell()}")
        time.sleep(1)


def base_model_archive(into: Path) -> Path:
    """The demo's base model, packed by the participant's own command: an entry that must be scored."""
    archive = into / "base.tar"
    base = bootstrap.ROOT / "grader" / "contests" / "demo" / "base_model"
    argv = [
        sys.executable,
        "-m",
        "baseline",
        "package",
        str(base),
        "--output",
        str(archive),
        "--json",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=bootstrap.ROOT)
    assert json.loads(done.stdout)
    return archive
