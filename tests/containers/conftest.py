"""One deployment for all tests of this folder, made as docker/README.md says and taken away at the end.

Each test leaves the stack up; those of grading come last, because they move it to HTTPS.
"""

from __future__ import annotations

import pytest

from tests.containers import bootstrap
from tests.containers.stack import Stack, engine, sections

WORKER = "up -d --build worker"


@pytest.fixture(autouse=True)
def _private_storage():
    """The site's fixture of this name is for tests in this process; the site here is in a container."""


@pytest.fixture(scope="session")
def made():
    """An engine with the base images, and a copy of the checkout; nothing is up yet."""
    was_up = bootstrap.answers()
    variables = engine()
    stack = Stack.create(bootstrap.FOLDER / "checkout", variables)
    stack.run("cp .env.example .env")
    stack.write_env()
    stack.down()  # what an interrupted run left
    yield stack
    stack.down()
    if variables and not was_up:
        bootstrap.stop()


@pytest.fixture(scope="session")
def site(made):
    """The site up, with everything the page says before the worker is started."""
    for command in sections()["Start"]:
        if command.startswith("cp "):
            continue
        if command.endswith(WORKER):
            break
        made.run(command)
    made.wait_healthy("site", "site-worker", "beat", "postgres", "valkey")
    return made


@pytest.fixture(scope="session")
def worker(site):
    """And the worker, on the CPU."""
    (command,) = [line for line in sections()["Start"] if line.endswith(WORKER)]
    site.run(command)
    site.wait_healthy("worker")
    return site
