"""``python -m tests.differential``: one line for each name, the most harmful first, then the unexplained
ones."""

from __future__ import annotations

import sys

from tests.differential.cases import cases
from tests.differential.compare import run
from tests.differential.known import KNOWN


def main() -> int:
    outcome = run(cases())
    for known in KNOWN:
        found = outcome.explained.get(known, [])
        example = f" [{found[0].case.id}]" if found else ""
        print(f"{len(found):>4}  {known.kind:<26}{known.name:<30}{known.reason}{example}")
    for difference in outcome.unexplained:
        print(f"unexplained {difference}")
    for name in outcome.stale:
        print(f"no longer differs: {name}")
    print(f"{outcome.count} configs, {len(outcome.unexplained)} unexplained")
    return int(bool(outcome.unexplained or outcome.stale))


if __name__ == "__main__":
    sys.exit(main())
