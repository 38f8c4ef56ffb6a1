"""A demo contest reduced to seconds, the engine stub, and settings that use both."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.contest import Contest, find
from grader.schema import decode
from grader.worker.measure import speed
from grader.worker.settings import Settings

STUB = Path(__file__).parents[2] / "engine_stub.py"


def make_contest(startup_timeout_s: float = 20.0, twins: bool = False, **speed: Any) -> Contest:
    """The demo contest, reduced: a dozen questions, short rounds, and no fresh twins unless asked for.

    ``speed`` replaces keys of that table.
    """
    path = find("demo")
    rules = tomllib.loads(path.read_text("utf-8"))
    rules["engine"]["startup_timeout_s"] = startup_timeout_s
    if not twins:
        rules["benchmarks"] = [b for b in rules["benchmarks"] if "twin_of" not in b]
        rules["benchmarks"][0]["weight"] += 1.0 - sum(b["weight"] for b in rules["benchmarks"])
    for benchmark in rules["benchmarks"]:
        benchmark |= {"limit": 6, "concurrency": 4, "max_gen_toks": 16}
    for shape in rules["speed"]["shapes"]:
        concurrency = min(4, shape["concurrency"])
        shape |= {"concurrency": concurrency, "requests": 2 * concurrency, "output_tokens": 20}
    rules["speed"] |= {
        "min_rounds": 6,
        "max_rounds": 12,
        "max_half_width": 0.5,
        "aim_half_width": 0.0,
    } | speed
    contest = decode(Contest, rules)
    object.__setattr__(contest, "folder", path.parent)
    object.__setattr__(contest, "sha256", "0" * 64)
    return contest


@pytest.fixture(autouse=True)
def _private_storage() -> None:
    """Replaces the site's fixture of this name, which needs Django."""


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stub does not spin after its work."""
    monkeypatch.setattr(speed, "REST_S", 0.0)


@pytest.fixture
def contest() -> Contest:
    return make_contest()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A short path, because pytest's own paths are too long for Unix sockets."""
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
            token="a-secret-token",
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
    """Return live processes with ``text`` in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if text in line and state != "Z":
                found.append(int(entry.name))
    return found
