"""``python -m tests.bench [NAME …] [--quick]``"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path

from tests.bench.harness import machine, say

NAMES = sorted(p.stem.removeprefix("bench_") for p in Path(__file__).parent.glob("bench_*.py"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar=f"{{{','.join(NAMES)}}}")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer repetitions")
    options = parser.parse_args()
    for name in options.names or NAMES:
        started = time.monotonic()
        say(f"bench {name}{' (quick)' if options.quick else ''}")
        figures = importlib.import_module(f"tests.bench.bench_{name}").run(options.quick)
        took = round(time.monotonic() - started, 1)
        print(
            json.dumps(
                {"bench": name, **figures, "quick": options.quick, "took_s": took, **machine()}
            )
        )
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    sys.exit(main())
