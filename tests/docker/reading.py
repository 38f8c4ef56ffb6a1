"""Readers for the tests of ``docker/``: compose files, Dockerfiles, and the local stack's commands."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKER = ROOT / "docker"
COMPOSE_FILES = sorted(DOCKER.glob("compose*.yaml"))
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))


def tool(name: str) -> str | None:
    """A program of this environment, or of the machine."""
    own = Path(sys.executable).with_name(name)
    return str(own) if own.exists() else shutil.which(name)


class _Loader(yaml.SafeLoader):
    """YAML as Compose reads it: ``!reset`` and ``!override`` control how files are merged."""


def _plain(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    assert isinstance(node, yaml.SequenceNode)
    return loader.construct_sequence(node, deep=True)


for _tag in ("!reset", "!override"):
    _Loader.add_constructor(_tag, _plain)


def compose(file: Path = DOCKER / "compose.yaml") -> dict[str, Any]:
    return yaml.load(file.read_text("utf-8"), _Loader)


def dockerfile_command(file: Path) -> list[str]:
    """Return the CMD of the last stage."""
    text = file.read_text("utf-8").replace("\\\n", " ")
    return json.loads(re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)[-1])


def command_of(service: str) -> list[str]:
    """A service's command: its own, or its image's."""
    found = compose()["services"][service]
    return found.get("command") or dockerfile_command(
        DOCKER / f"{found['image'].removeprefix('paretoboard-')}.Dockerfile"
    )


@dataclass(frozen=True)
class Program:
    """The parts of a command line that matter: program, application, queue and node name."""

    module: str
    application: str
    roles: frozenset[str]
    queue: str = ""
    node: str = ""


def program(argv: list[str]) -> Program:
    """Parse ``python -m gunicorn … app`` or ``python -m celery --app app worker …``."""
    assert argv[1] == "-m"
    module, rest = argv[2], argv[3:]
    if module == "gunicorn":
        return Program(module, rest[-1], frozenset({"web"}))
    assert module == "celery"
    roles = {role for role in ("worker", "beat") if role in rest or f"--{role}" in rest}
    return Program(
        module,
        _option(rest, "--app"),
        frozenset(roles),
        _option(rest, "--queues"),
        _option(rest, "--hostname").partition("@")[0],
    )


def _option(argv: list[str], name: str) -> str:
    return argv[argv.index(name) + 1] if name in argv else ""
