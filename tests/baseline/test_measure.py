"""The command around ``grade``: progress, words, exit codes. The grading itself is tested elsewhere."""

from __future__ import annotations

import json

import pytest

from grader.problems import Problem, Stage
from grader.report import (
    CheckpointFacts,
    Item,
    MemoryResult,
    Progress,
    QualityResult,
    Report,
    Round,
    ServingMetrics,
    SpeedResult,
    System,
)

METRICS = ServingMetrics(1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 100.0)


def report() -> Report:
    items = tuple(Item(i, str(i), str(i), float(i % 4 > 0), 1.0) for i in range(40))
    rounds = tuple(Round(i % 2 == 0, 1.0 + i / 100, 1.3) for i in range(8))
    return Report(
        contest="demo",
        contest_sha256="0" * 64,
        checkpoint=CheckpointFacts("0" * 64, 500, "W8A8"),
        quality=tuple(
            QualityResult(name, 0.75, 0.07, 1.0, 0.0, items) for name in ("gsm8k", "choice")
        ),
        memory=MemoryResult(checkpoint_bytes=500, base_bytes=1000),
        speed=tuple(
            SpeedResult(name, 48, rounds, METRICS, METRICS) for name in ("latency", "throughput")
        ),
        system=System("here", "cpu", "Some CPU", "Some CPU", 2, 1),
        stages=(),
    )


@pytest.fixture
def graded(monkeypatch, tmp_path):
    """Put an outcome in the place of ``grader.worker.grade.grade``."""
    module = pytest.importorskip("grader.worker.grade")
    monkeypatch.setattr("baseline.measure.util.find_spec", lambda _name: object())
    monkeypatch.setenv("GRADER_SCRATCH", str(tmp_path / "scratch"))

    def put(outcome):
        def grade(source, contest, settings, progress):
            progress(Progress(Stage.QUALITY, 3, 160, "gsm8k"))
            progress(Progress(Stage.SPEED))
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(module, "grade", grade)

    return put


def test_every_term_is_printed_and_the_report_kept(graded, checkpoint, run, tmp_path):
    graded(report())
    arguments = ("measure", checkpoint, "-c", "demo")
    code, out, err = run(*arguments)
    assert code == 0
    for word in ("accuracy", "memory", "speed", "gsm8k", "latency", "0.7500", "0.5000", "W8A8"):
        assert word in out
    assert "quality 3/160 · gsm8k" in err
    assert "measures on CPU" in err
    code, out, _ = run(*arguments, "--json", "--report", tmp_path / "report.json")
    document = json.loads(out)
    assert document["score"] == pytest.approx(sum(term["points"] for term in document["terms"]))
    assert [term["name"] for term in document["terms"]] == ["accuracy", "memory", "speed"]
    assert json.loads((tmp_path / "report.json").read_text())["contest"] == "demo"


def test_another_formula(graded, checkpoint, run):
    graded(report())
    code, out, _ = run("measure", checkpoint, "-c", "demo", "--formula", "online", "--json")
    assert code == 0
    assert json.loads(out)["terms"][1]["weight"] == 0.0
    code, _, err = run("measure", checkpoint, "-c", "demo", "--formula", "none")
    assert (code, "Known: online, final" in err) == (2, True)


@pytest.mark.parametrize(("kind", "code"), [("Rejected", 1), ("Failed", 4)])
def test_an_early_end_is_told_in_the_catalogues_words(graded, checkpoint, run, kind, code):
    faults = pytest.importorskip("grader.worker.faults")
    problems = [Problem("LOAD_ENGINE", "", "no kernel"), Problem("RUN_OOM")]
    graded(getattr(faults, kind)(problems, "engine: [last] words"))
    found, out, err = run("measure", checkpoint, "-c", "demo")
    assert (found, out) == (code, "")
    assert "| engine: [last] words" in err
    assert "LOAD_ENGINE" in err and "(no kernel)" in err and "→" in err and "RUN_OOM" in err


def test_a_second_measurement_beside_the_first_is_refused(graded, checkpoint, run, tmp_path):
    import fcntl

    graded(report())
    (tmp_path / "scratch").mkdir()
    with (tmp_path / "scratch" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = run("measure", checkpoint, "-c", "demo")
    assert (code, "ALREADY_MEASURING" in err) == (4, True)


@pytest.mark.parametrize("command", ["measure", "sample"])
def test_without_the_engine_it_says_what_to_install(command, checkpoint, run, monkeypatch):
    monkeypatch.setattr("baseline.measure.util.find_spec", lambda _name: None)
    code, _, err = run(command, checkpoint, "-c", "demo")
    assert (code, "PACKAGE_MISSING" in err) == (4, True)
    assert "grader-cpu" in err
