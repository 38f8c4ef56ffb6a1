from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix import results
from tests.matrix.grid import Cell
from tests.matrix.results import Results

ROW = [
    Cell("llama", "base_model", (), "", 1.0),
    Cell("llama", "W8A8", ("KERNEL_MISSING",), "No kernel", 0.0),
]


def test_finished_rows_are_kept(tmp_path: Path) -> None:
    Results(folder=tmp_path / "matrix").add(ROW)
    assert Results(folder=tmp_path / "matrix").rows() == {"llama": ROW}


def test_line_cut_off_by_a_crash_is_no_row(tmp_path: Path) -> None:
    Results(folder=tmp_path / "matrix").add(ROW)
    with (tmp_path / "matrix" / "rows.jsonl").open("a") as file:
        file.write('[{"model": "phi3", "sche')
    assert Results(folder=tmp_path / "matrix").rows() == {"llama": ROW}


def test_rows_are_forgotten_when_asked_or_when_a_source_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "matrix"
    Results(folder=folder).add(ROW)
    assert Results(fresh=True, folder=folder).rows() == {}

    Results(folder=folder).add(ROW)
    model = folder / "models" / "llama"
    model.mkdir()
    monkeypatch.setattr(results, "sources_sha256", lambda: "another")
    assert Results(folder=folder).rows() == {}
    assert not model.exists()


@pytest.mark.parametrize("source", results.SOURCES)
def test_every_source_counts(source: str, tmp_path: Path) -> None:
    """Names that have moved would make stale rows look fresh."""
    assert (results.ROOT / source).exists()
    before = results.sources_sha256(tmp_path)
    path = tmp_path / source
    path = path if path.suffix else path / "deep" / "changed.py"
    path.parent.mkdir(parents=True)
    path.write_text("changed")
    assert results.sources_sha256(tmp_path) != before
