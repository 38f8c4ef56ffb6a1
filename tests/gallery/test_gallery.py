"""Every gallery case gets its verdict in time, without running anything or leaving anything behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from grader.checkpoint import rebuild
from grader.contest import Contest
from grader.gallery import CASES, LOADED, Case, find_fault, judge, tiny_contest
from grader.problems.catalogue import CATALOGUE, Fault, Stage

# Found by the check, but not from an archive: rendering and a second parser are not used.
_WITHOUT_CASE = {"TEMPLATE_TIMEOUT", "LAYOUT_NOT_A_FILE", "QUANT_KV_IGNORED", "KERNEL_NO_SAVING"}
_WITHOUT_CASE |= {"ARCHIVE_TIMEOUT"}  # no archive we know of takes that long
_WITHOUT_CASE |= {"FLAG_WEIGHTS"}  # the worker compares the values with the base model's
_NEED_OTHER_HARDWARE = {"KERNEL_FP8", "KERNEL_TILE"}
# EXAONE 4 has one kind of layer and no experts; tests/grader/checkpoint/test_architecture.py covers these.
_NEED_OTHER_BASE = {
    "CONFIG_LAYER_KIND", "CONFIG_WIDTH", "QUANT_ALWAYS_DENSE", "QUANT_STACKED_EXPERTS",
}  # fmt: skip


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    return tiny_contest(tmp_path_factory.mktemp("contest"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case, contest: Contest, tmp_path: Path) -> None:
    bench = tmp_path / "bench"
    bench.mkdir()
    started = time.monotonic()
    findings = judge(case, contest, bench)
    elapsed_s = time.monotonic() - started

    assert find_fault(case, findings) == ""
    assert elapsed_s < case.limit_s * 3  # includes building the archive, and machines are shared
    assert not (bench / "executed").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"bench"}
    for found in (*findings.problems, *findings.notices):
        assert found.code in CATALOGUE
        assert all(c.isprintable() for c in found.where + found.detail)
        assert len(found.where) <= 160
        assert len(found.detail) <= 400


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.code.startswith("ARCHIVE_")], ids=lambda c: c.id
)
def test_refused_archive_leaves_nothing(case: Case, contest: Contest, tmp_path: Path) -> None:
    judge(case, contest, tmp_path)
    assert list((tmp_path / "unpacked").iterdir()) == []


@pytest.mark.parametrize("case", [c for c in CASES if not c.code], ids=lambda case: case.id)
def test_accepted_case_can_be_rebuilt(case: Case, contest: Contest, tmp_path: Path) -> None:
    judge(case, contest, tmp_path)
    facts = rebuild(tmp_path / "unpacked", tmp_path / "canonical", contest)
    again = rebuild(tmp_path / "canonical", tmp_path / "again", contest)
    assert again.content_sha256 == facts.content_sha256
    assert _contents(tmp_path / "again") == _contents(tmp_path / "canonical")


@pytest.mark.parametrize("case", LOADED, ids=lambda case: case.id)
def test_what_only_an_engine_can_refuse_passes_the_check(
    case: Case, contest: Contest, tmp_path: Path
) -> None:
    assert judge(case, contest, tmp_path).problems == ()
    assert case.stage is Stage.QUALITY


def test_there_are_enough_cases_with_unique_names() -> None:
    assert len(CASES) >= 90
    assert len({case.id for case in CASES}) == len(CASES)
    assert sum(not case.code for case in CASES) >= 20
    assert any(case.marker for case in CASES)


def test_every_code_of_the_check_has_a_case() -> None:
    shown = {case.code for case in CASES} | {case.notice for case in CASES}
    needed = {
        code
        for code, kind in CATALOGUE.items()
        if kind.stage is Stage.CHECK and kind.fault is not Fault.SYSTEM
    }
    assert needed - shown == _WITHOUT_CASE | _NEED_OTHER_HARDWARE | _NEED_OTHER_BASE


def test_case_knows_its_stage() -> None:
    assert {case.stage for case in CASES} == {None, Stage.UPLOAD, Stage.CHECK}


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
