"""``python -m tests.matrix [NAME …]``: print the table and the number of disagreeing cells."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.matrix import grid
from tests.matrix.configs import CONFIGS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CONFIGS, []], metavar="NAME")
    names = parser.parse_args().names or list(CONFIGS)
    schemes = list(grid.SCHEMES)
    count = different = 0
    with tempfile.TemporaryDirectory(prefix="matrix-") as temporary:
        folder = Path(temporary)
        grid.make(folder, names)
        grid.compress(folder, names, schemes)
        for name in names:
            for cell in grid.cells(folder, name, schemes):
                different += not cell.agrees
                print(_line(cell), flush=True)
                count += 1
            grid.remove(folder, name)
    for (name, scheme), code in grid.REFUSED.items():
        if name in names:
            print(f"  {name:<16}{scheme:<12}compress {code}")
    print(f"{len(names)} × {len(schemes) + 1}, {count} loaded, {different} disagreements")
    return int(bool(different))


def _line(cell: grid.Cell) -> str:
    mark = " " if cell.agrees else "≠"
    check = ", ".join(cell.codes) or "ok"
    return f"{mark} {cell.model:<16}{cell.scheme:<12}check {check:<28}engine {cell.error or 'ok'}"


if __name__ == "__main__":
    sys.exit(main())
