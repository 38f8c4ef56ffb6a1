"""``python -m tests.faults [WORD …]``: runs the fault cases; the last line says how many were survived.

A case is survived if its test passes and every invariant holds afterwards; one that was skipped is not.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent


class Tally:
    """Counts cases, not phases: a case whose invariants are broken fails in its teardown."""

    def __init__(self) -> None:
        self.survived: dict[str, bool] = {}
        self._started = time.monotonic()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._started = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        case = report.nodeid.rpartition("tests/faults/")[2]
        self.survived[case] = self.survived.get(case, True) and report.passed
        if report.when == "teardown":
            word = "survived" if self.survived[case] else "NOT SURVIVED"
            print(f"\n  {case}: {word} ({time.monotonic() - self._started:.0f} s)", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only cases whose names have one")
    words = parser.parse_args().words
    tally = Tally()
    chosen = ["-k", " or ".join(words)] if words else []
    code = pytest.main(["-q", "-p", "no:randomly", *chosen, str(HERE)], plugins=[tally])
    survived = sum(tally.survived.values())
    print(f"{survived}/{len(tally.survived)} faults survived")
    return int(code != 0 or not survived or survived < len(tally.survived))


if __name__ == "__main__":
    sys.exit(main())
