"""``python -m tests.matrix [--fresh] [NAME …]``: the table, and in its last line how many cells disagree."""

from __future__ import annotations

import argparse
import shutil
import sys

from tests.matrix import grid
from tests.matrix.configs import CONFIGS
from tests.matrix.results import Results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CONFIGS, []], metavar="NAME")
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are finished")
    asked = parser.parse_args()
    names = asked.names or list(CONFIGS)
    schemes = list(grid.SCHEMES)
    results = Results(asked.fresh)
    finished = results.rows()
    left = [name for name in names if name not in finished]
    grid.make(results.models, left)
    grid.compress(results.models, left, schemes)
    served = refused = different = 0
    for name in names:
        if name not in finished:
            finished[name] = grid.row(results.models, name, schemes)
            results.add(finished[name])
            shutil.rmtree(results.models / name)
        for cell in finished[name]:
            different += not cell.agrees
            served += not cell.error
            refused += bool(cell.error)
            print(_line(cell), flush=True)
        for scheme in schemes:
            if code := grid.REFUSED.get((name, scheme)):
                print(f"  {name:<16}{scheme:<12}compress {code}", flush=True)
    not_made = len(names) * (len(schemes) + 1) - served - refused
    print(f"served by the engine {served}, refused by it {refused}, not made {not_made}")
    print(f"{len(names)} × {len(schemes) + 1}, {different} disagreements")
    return int(bool(different))


def _line(cell: grid.Cell) -> str:
    mark = " " if cell.agrees else "≠"
    check = ", ".join(cell.codes) or "ok"
    engine = cell.error or f"ok {cell.likeness:.3f}"
    return f"{mark} {cell.model:<16}{cell.scheme:<12}check {check:<28}engine {engine}"


if __name__ == "__main__":
    sys.exit(main())
