"""``python -m tests.cheats [NAME …] [--json]``: play the cheats; the last line says what they gain."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import pkgutil
import sys

import tests.cheats

NAMES = sorted(
    module.name
    for module in pkgutil.iter_modules(tests.cheats.__path__)
    if not module.name.startswith(("_", "test_"))
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    asked = parser.parse_args()
    gains = []
    for name in asked.names or NAMES:
        outcome = importlib.import_module(f"tests.cheats.{name}").play()
        gains.append(outcome.gain)
        if asked.json:
            print(json.dumps({"cheat": name, **dataclasses.asdict(outcome)}), flush=True)
            continue
        figures = ", ".join(f"{key} {value}" for key, value in outcome.figures.items())
        print(f"{name:<20}gain {outcome.gain:+.4f}  {outcome.caught_by}: {figures}", flush=True)
    print(f"{len(gains)} cheats, gain ≤ {max(gains, default=0.0):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
