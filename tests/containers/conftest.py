"""One deployment for all tests in this folder, made as docker/README.md says and removed at the end.

Each test leaves the stack up; grading tests run last, because they switch it to HTTPS.
"""

from __future__ import annotations

import pytest

from tests.containers import bootstrap
from tests.containers.stack import Stack, engine, sections

WORKER = "up -d --build worker"


@pytest.fixture(autouse=True)
def _private_storage():
    """Replaces the site's fixture for in-process tests, because here the site runs in a container."""


@pytest.fixture(scope="session")
def made():
    """An engine with the base images, and a copy of the checkout; nothing is running yet."""
    was_up = bootstrap.answers()
    variables = engine()
    stack = Stack.create(bootstrap.FOLDER / "checkout", variables)
    stack.run("cp .env.example .env")
    stack.write_env()
    stack.down()  # left by an interrupted run
    yield stack
    stack.down()
    if variables and not was_up:
        bootstrap.stop()


@pytest.fixture(scope="session")
def site(made):
    """The running site, set up as the page says up to the worker."""
    for command in sections()["Start"]:
        if command.startswith("cp "):
            continue
        if command.endswith(WORKER):
            break
        made.run(command)
    made.wait_healthy("site", "check-worker", "site-worker", "beat", "postgres", "valkey")
    return made


@pytest.fixture(scope="session")
def worker(site):
    """The site with a worker on the CPU."""
    (command,) = [line for line in sections()["Start"] if line.endswith(WORKER)]
    site.run(command)
    site.wait_healthy("worker")
    return site
