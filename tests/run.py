"""``make test``: runs one group after the other and ends with a summary of each.

Fails if any group fails, if a group that should have run ran nothing, or if a heavy group skipped a test.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
HEAVY = "vllm or browser or compress or registry or containers or faults"
# A test that has driven a browser leaves an event loop running in its process, so nothing else can run there.
GROUPS = {
    "locks": "registry",
    "compress": "compress",
    "vllm": "vllm and not browser",
    "browser": "browser",
}


@dataclass
class Count:
    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float


def command(name: str, *argv: str) -> Count:
    """A tool that passes or fails as a whole."""
    started = time.monotonic()
    print(f"\n── {name}", flush=True)
    code = subprocess.run([str(BIN / argv[0]), *argv[1:]], cwd=ROOT, check=False).returncode
    return Count(name, int(code == 0), int(code != 0), 0, time.monotonic() - started)


def pytest(name: str, *arguments: str) -> Count:
    """One pytest run, counted from its JUnit file. A run that collects nothing has failed."""
    started = time.monotonic()
    print(f"\n── {name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "junit.xml"
        argv = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={junit}", *arguments]
        code = subprocess.run(argv, cwd=ROOT, check=False).returncode
        suites = (
            list(ElementTree.parse(junit).getroot().iter("testsuite")) if junit.exists() else []
        )
    total, bad, skipped = (
        sum(int(suite.get(key, 0)) for suite in suites for key in keys)
        for keys in (("tests",), ("failures", "errors"), ("skipped",))
    )
    bad = max(bad, int(code != 0))
    return Count(name, total - bad - skipped, bad, skipped, time.monotonic() - started)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--fast",
        action="store_true",
        help="no vLLM, llmcompressor, browser or package index",
    )
    fast = parser.parse_args().fast
    counts = [
        command("lint", "ruff", "check", "."),
        command("format", "ruff", "format", "--check", "."),
        command("templates", "djangofmt", "--check", "templates"),
        command("types", "mypy"),
        command("contracts", "lint-imports"),
        # Each process has its own database and broker (tests.services); the heavy groups use the whole machine,
        # so they run alone.
        pytest("tests", "-n", "2", "--dist", "worksteal", "-m", f"not ({HEAVY})"),
    ]
    if not fast:
        counts += [pytest(group, "-m", marked) for group, marked in GROUPS.items()]
    print(f"\n{'group':<12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for count in counts:
        row = f"{count.passed:>8}{count.failed:>8}{count.skipped:>9}{count.seconds:>9.0f}"
        print(f"{count.name:<12}{row}")
    skipped = [c.name for c in counts if c.skipped and c.name in GROUPS]
    if skipped:
        print(f"skipped tests in: {', '.join(skipped)} - this run does not count")
    failed = sum(c.failed for c in counts)
    print(
        f"\n{sum(c.passed for c in counts)} passed, {failed} failed, {sum(c.skipped for c in counts)} skipped"
    )
    return int(bool(failed or skipped))


if __name__ == "__main__":
    sys.exit(main())
