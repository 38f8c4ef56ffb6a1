"""A demo contest cut down to seconds, the engine stub, and settings that use both."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.contest import Contest, find, parse
from grader.worker.settings import Settings

STUB = Path(__file__).parents[2] / "engine_stub.py"

SMALLER = {
    "limit = 160": "limit = 12",
    "limit = 80": "limit = 6",
    "max_gen_toks = 160": "max_gen_toks = 16",
    "concurrency = 32": "concurrency = 4",
    "startup_timeout_s = 300": "startup_timeout_s = 20",
    "output_tokens = 48": "output_tokens = 20",
    "concurrency = 16": "concurrency = 4",
    "requests = 16": "requests = 8",
}


def make_contest(**replacements: str) -> Contest:
    """The demo contest with its numbers made small; further replacements as ``old=new`` in the file's text."""
    path = find("demo")
    source = path.read_text("utf-8")
    for old, new in {**SMALLER, **replacements}.items():
        assert old in source, old
        source = source.replace(old, new)
    return parse(source, path.parent)


@pytest.fixture(autouse=True)
def _private_storage() -> None:
    """The site's fixture of this name needs Django; nothing here does."""


@pytest.fixture
def contest() -> Contest:
    return make_contest()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A short path: pytest's own are too long for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="w-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def worker(scratch: Path) -> Callable[..., Settings]:
    """``worker(base={...}, candidate={...}, **fields)``: a worker whose engines are stubs with these knobs."""

    def make(
        base: dict[str, Any] | None = None, candidate: dict[str, Any] | None = None, **fields: Any
    ) -> Settings:
        knobs = scratch / "knobs.json"
        knobs.write_text(json.dumps({"base": base or {}, "candidate": candidate or {}}))
        engine = (sys.executable, "-I", str(STUB), "--knobs", str(knobs))
        made = Settings(
            site_url="http://site.test",
            token="a-secret-token",  # noqa: S106
            name="worker-1",
            scratch=scratch / "s",
            cache=scratch / "cache",
            sandbox="process",
            engine=engine,
            silence_s=20.0,
        )
        return dataclasses.replace(made, **fields)

    return make


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def processes_naming(text: str) -> list[int]:
    """Live processes with ``text`` in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if text in line and state != "Z":
                found.append(int(entry.name))
    return found
