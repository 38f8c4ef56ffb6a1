"""Rows of the table that are finished, so that one begun on a slow machine can be continued."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tests.matrix.grid import ROOT, Cell

FOLDER = ROOT / "var" / "matrix"
# What a row depends on. A change in any of it makes every row anew.
SOURCES = (
    "grader/checkpoint",
    "grader/problems",
    "baseline/compression",
    "baseline/recipes",
    "tests/matrix",
    "requirements/grader-cpu.txt",
    "requirements/baseline.txt",
)
SUFFIXES = (".py", ".json", ".toml", ".yaml", ".txt")


class Results:
    """``rows.jsonl`` in a folder that is emptied when one of :data:`SOURCES` has changed since, or if asked."""

    def __init__(self, fresh: bool = False, folder: Path = FOLDER) -> None:
        self.models = folder / "models"
        self._file = folder / "rows.jsonl"
        made_from = folder / "made-from.txt"
        current = sources_sha256()
        if fresh or not made_from.is_file() or made_from.read_text("utf-8") != current:
            shutil.rmtree(folder, ignore_errors=True)
        self.models.mkdir(parents=True, exist_ok=True)
        made_from.write_text(current, "utf-8")

    def add(self, cells: list[Cell]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([asdict(cell) for cell in cells]) + "\n")

    def rows(self) -> dict[str, list[Cell]]:
        """Finished rows by the model's name. A line that was cut off counts as none."""
        return {cells[0].model: cells for cells in self._read()}

    def _read(self) -> Iterator[list[Cell]]:
        if not self._file.is_file():
            return
        for line in self._file.read_text("utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield [Cell(**cell | {"codes": tuple(cell["codes"])}) for cell in json.loads(line)]


def sources_sha256(root: Path = ROOT) -> str:
    digest = hashlib.sha256()
    for source in SOURCES:
        found = [root / source, *sorted((root / source).rglob("*"))]
        for path in found:
            if path.is_file() and path.suffix in SUFFIXES:
                digest.update(f"{path.relative_to(root)} ".encode() + path.read_bytes())
    return digest.hexdigest()
