"""A check in a process of its own: the same findings, and an end when its time is used up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader import checkpoint
from grader.checkpoint import limited
from grader.contest import Contest
from grader.gallery import CASES, Bench, tiny_contest
from grader.problems.catalogue import CATALOGUE, Fault

WAITS = "import time; time.sleep(3600)"
SAMPLE = ("good-zip", "good-tar-gz", "tar-name-traversal")


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    return tiny_contest(tmp_path_factory.mktemp("contest"))


@pytest.fixture
def archive(contest: Contest, tmp_path: Path) -> Path:
    return next(c for c in CASES if c.id == "good-zip").build(Bench(contest, tmp_path))


def runs(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(limited, "_COMMAND", (sys.executable, "-c", code))


@pytest.mark.parametrize("case", [c for c in CASES if c.id in SAMPLE], ids=lambda c: c.id)
def test_findings_are_those_of_the_functions_it_runs(case, contest, tmp_path):  # type: ignore[no-untyped-def]
    source = case.build(Bench(contest, tmp_path))
    problems = checkpoint.unpack(source, tmp_path / "a", contest.limits)
    expected = (
        checkpoint.Findings(tuple(problems))
        if problems
        else checkpoint.find_problems(tmp_path / "a", contest, scan=True)
    )
    assert checkpoint.check(source, tmp_path / "b", contest) == expected
    assert not (tmp_path / "b").exists()


def test_an_acceptable_checkpoint_is_rebuilt(
    archive: Path, contest: Contest, tmp_path: Path
) -> None:
    findings = checkpoint.check(archive, tmp_path / "a", contest, canonical=tmp_path / "model")
    again = checkpoint.find_problems(tmp_path / "model", contest, scan=True)
    assert findings.facts and again.facts
    assert findings.facts.content_sha256 == again.facts.content_sha256


def test_a_folder_stays_and_known_digests_are_used(
    archive: Path, contest: Contest, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    assert not checkpoint.unpack(archive, folder, contest.limits)
    known = {path.name: "0" * 64 for path in folder.glob("*.safetensors")}
    found = checkpoint.check(folder, folder, contest, known_sha256=known)
    assert found == checkpoint.find_problems(folder, contest, known_sha256=known)
    assert folder.is_dir()


def test_processor_time_is_limited_and_counts_against_the_archive(
    archive: Path, contest: Contest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel ends a check that computes without end; nothing in the checker has to notice."""
    monkeypatch.setattr(limited, "CPU_S", 1)
    runs(
        monkeypatch,
        "import pickle, sys\n"
        "from grader.checkpoint import child\n"
        "child.limit_cpu(pickle.load(sys.stdin.buffer).cpu_s)\n"
        "while True: pass",
    )
    monkeypatch.setattr(limited, "ELAPSED", 600)
    (found,) = checkpoint.check(archive, tmp_path / "a", contest).problems
    assert (found.code, found.detail) == ("ARCHIVE_TIMEOUT", "> 1 s")
    assert CATALOGUE[found.code].fault is Fault.TEAM


def test_elapsed_time_is_limited_and_counts_against_us(
    archive: Path, contest: Contest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that never answers."""
    monkeypatch.setattr(limited, "CPU_S", 1)
    monkeypatch.setattr(limited, "ELAPSED", 1)
    runs(monkeypatch, WAITS)
    (found,) = checkpoint.check(archive, tmp_path / "a", contest).problems
    assert (found.code, found.detail) == ("SYS_CHECK_TIMEOUT", "> 1 s")
    assert CATALOGUE[found.code].fault is Fault.SYSTEM


def test_the_limit_grows_with_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "a"
    archive.touch()
    os.truncate(archive, 90_000_000)
    assert limited.cpu_limit_s(archive) == 60 + 18


def test_a_check_that_is_no_longer_wanted_ends(
    archive: Path, contest: Contest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(monkeypatch, WAITS)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoint.check(archive, tmp_path / "a", contest, keep_going=stop)


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)"])
def test_a_broken_checker_is_no_finding(
    code: str, archive: Path, contest: Contest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(monkeypatch, code)
    with pytest.raises(limited.CheckCrashedError):
        checkpoint.check(archive, tmp_path / "a", contest)


def test_it_ends_with_the_process_that_asked() -> None:
    """Whose death closes its standard input."""
    code = "import time; from grader.checkpoint import child; child.end_with_parent(); time.sleep(3600)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.close()
    assert process.wait() == 1


def test_the_environment_has_no_secrets(
    archive: Path, contest: Contest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "s")
    runs(monkeypatch, "import os; raise SystemExit(5 if 'SECRET_KEY' in os.environ else 6)")
    with pytest.raises(limited.CheckCrashedError, match="6"):
        checkpoint.check(archive, tmp_path / "a", contest)
