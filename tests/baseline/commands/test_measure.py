"""The command around ``grade``: progress, output, exit codes. The grading itself is tested elsewhere."""

from __future__ import annotations

import json

import pytest

from baseline.checkpoint.contests import rules
from baseline.measurement import history
from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import Progress
from tests import factories_pure
from tests.baseline.reports import report


@pytest.fixture
def graded(monkeypatch, tmp_path):
    """Replace ``grader.worker.grade.grade`` with outcomes; returns the contests it was called with."""
    module = pytest.importorskip("grader.worker.grade")
    monkeypatch.setattr("baseline.measurement.local_grade.util.find_spec", lambda _name: object())
    monkeypatch.setenv("GRADER_SCRATCH", str(tmp_path / "scratch"))

    seen = []

    def put(*outcomes):
        waiting, asked = list(outcomes), []

        def grade(source, contest, settings, progress):
            outcome = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            asked.append(contest)
            seen.append({path.name: path.is_symlink() for path in source.iterdir()})
            progress(Progress(Stage.QUALITY, 3, 160, "gsm8k"))
            progress(Progress(Stage.SPEED))
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(module, "grade", grade)
        return asked

    put.seen = seen
    return put


def test_a_folder_is_measured_as_it_would_be_packed(graded, checkpoint, run, tmp_path):
    graded(report())
    (checkpoint / "logs").mkdir()
    (checkpoint / "model.safetensors").rename(tmp_path / "blob")
    (checkpoint / "model.safetensors").symlink_to(tmp_path / "blob")
    assert run("measure", checkpoint, "-c", "demo", "--no-history")[0] == 0
    assert graded.seen == [
        {"config.json": False, "model.safetensors": False, "tokenizer.json": False}
    ]


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


def test_a_report_that_cannot_be_written_is_said_before_the_work(graded, checkpoint, run):
    asked = graded(report())
    code, _, err = run("measure", checkpoint, "-c", "demo", "--report", "/proc/none/report.json")
    assert (code, "OUTPUT_UNWRITABLE" in err, asked) == (4, True, [])


def test_a_report_that_can_no_longer_be_written_costs_no_measurement(
    graded, checkpoint, run, tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("baseline.commands.measure.whole_file", full)
    graded(report())
    path = tmp_path / "new" / "report.json"
    code, out, err = run("measure", checkpoint, "-c", "demo", "--report", path)
    assert (code, "Score" in out, "The report was not written" in err) == (0, True, True)


def test_a_base_model_that_answers_nothing_right_is_said_and_the_report_kept(
    graded, checkpoint, run, tmp_path
):
    rounds = [(1.0, 1.3)] * 8
    graded(factories_pure.report(pairs=[(0.0, 0.0)] * 40, rounds=rounds))
    path = tmp_path / "report.json"
    code, _, err = run("measure", checkpoint, "-c", "demo", "--report", path)
    assert (code, "SCORE_IMPOSSIBLE" in err, path.exists()) == (1, True, True)
    assert "got none right" in err and "→" in err


@pytest.mark.parametrize("option", [("--report", "report.json"), ("--repeat", "2")])
def test_what_memory_alone_cannot_give_is_refused(run, option):
    base = rules("demo").base_folder
    code, _, err = run("measure", base, "-c", "demo", "--only", "memory", *option)
    assert (code, "NOTHING_TO_REPORT" in err) == (2, True)


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
    monkeypatch.setattr("baseline.measurement.local_grade.util.find_spec", lambda _name: None)
    code, _, err = run(command, checkpoint, "-c", "demo")
    assert (code, "PACKAGE_MISSING" in err) == (4, True)
    assert "grader-cpu" in err


def test_quick_asks_less_and_says_so(graded, checkpoint, run):
    asked = graded(report())
    code, _, err = run("measure", checkpoint, "-c", "demo", "--quick")
    (contest,) = asked
    assert code == 0 and "Quick" in err
    assert {b.limit for b in contest.benchmarks} == {40}
    assert (contest.speed.min_rounds, contest.speed.max_rounds) == (4, 4)
    assert contest.speed.max_half_width == float("inf")
    whole = rules("demo")
    assert contest.sha256 != whole.sha256 and contest.folder == whole.folder
    assert [s.id for s in contest.speed.shapes] == [s.id for s in whole.speed.shapes]


@pytest.mark.parametrize("term", ["accuracy", "speed"])
def test_one_term_alone_has_no_score(graded, checkpoint, run, term):
    asked = graded(report(quality=term == "accuracy", speed=term == "speed"))
    code, out, _ = run("measure", checkpoint, "-c", "demo", "--only", term, "--json")
    document = json.loads(out)
    assert (code, document["score"], document["board"]) == (0, None, None)
    assert {t["name"] for t in document["terms"]} == {term, "memory"}
    assert bool(asked[0].benchmarks) == (term == "accuracy")
    assert bool(asked[0].speed.shapes) == (term == "speed")
    whole = run("measure", checkpoint, "-c", "demo", "--only", term)[1]
    assert f"only {term} was measured" in whole


def test_memory_alone_needs_no_engine(run, monkeypatch):
    monkeypatch.setattr("baseline.measurement.local_grade.util.find_spec", lambda _name: None)
    contest = rules("demo")
    code, out, _ = run("measure", contest.base_folder, "-c", "demo", "--only", "memory", "--json")
    (term,) = json.loads(out)["terms"]
    assert (code, term["name"], term["value"]) == (0, "memory", 0.0)
    code, _, err = run("measure", contest.base_folder, "-c", "demo", "--only", "size")
    assert (code, "accuracy, memory, speed" in err) == (2, True)


def test_repeated_it_shows_the_spread(graded, checkpoint, run):
    graded(report(wrong=4), report(wrong=5))
    code, out, err = run("measure", checkpoint, "-c", "demo", "--repeat", "2", "--json")
    document = json.loads(out)
    assert code == 0 and "run 2 of 2" in err
    assert [run["terms"][0]["value"] for run in document["runs"]] == pytest.approx([0.75, 0.8])
    spread = document["spread"]["accuracy"]
    assert (spread["mean"], spread["least"], spread["most"]) == pytest.approx((0.775, 0.75, 0.8))
    assert spread["sd"] == pytest.approx(0.0353553, abs=1e-6)
    assert "questions" not in out.replace('"questions": 40', "")


def test_what_the_board_would_show_is_the_public_part(graded, checkpoint, run):
    graded(report(wrong=3))
    document = json.loads(run("measure", checkpoint, "-c", "demo", "--json")[1])
    assert document["board"]["half_width"] > document["half_width"]
    assert "The public board would show" in run("measure", checkpoint, "-c", "demo")[1]


def test_the_rank_is_estimated_on_the_board_of_the_last_login(graded, checkpoint, run, site):
    entry = {"kind": "team", "half_width": 0.0001, "safetensors_bytes": 1}
    entries = [entry | {"team": "first", "score": 0.99}, entry | {"team": "us", "score": 0.98},
               entry | {"team": "last", "score": 0.01},
               entry | {"team": "base", "kind": "base", "score": 0.9}]  # fmt: skip
    site.answers["GET", "/api/contests/demo/board"] = (
        200,
        {"entries": entries, "formula": "final"},
    )
    me = {"user": "u", "teams": [{"id": 1, "name": "us", "contest": "demo"}]}
    site.answers["GET", "/api/me"] = (200, me)
    assert run("login", "--site", site.url, "--token", "t")[0] == 0
    graded(report())
    document = json.loads(run("measure", checkpoint, "-c", "demo", "--json")[1])
    assert {k: document["rank"][k] for k in ("rank", "best", "worst", "teams")} == {
        "rank": 2, "best": 2, "worst": 2, "teams": 3,
    }  # fmt: skip
    assert "Rank 2 of 3 on http://127" in run("measure", checkpoint, "-c", "demo")[1]
    site.answers["GET", "/api/contests/demo/board"] = (500, b"")
    code, out, err = run("measure", checkpoint, "-c", "demo")
    assert (code, "Rank" in out, "No rank estimate" in err) == (0, False, True)


def test_a_history_that_cannot_be_written_costs_no_measurement(
    graded, checkpoint, run, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    graded(report())
    code, out, err = run("measure", checkpoint, "-c", "demo")
    assert (code, "Score" in out, "Not kept" in err) == (0, True, True)


def test_a_history_that_is_no_text_costs_no_measurement(graded, checkpoint, run, monkeypatch):
    history.file().parent.mkdir(parents=True)
    history.file().write_bytes(b"\xff\xfe torn")
    graded(report())
    code, out, _ = run("measure", checkpoint, "-c", "demo")
    assert (code, "Score" in out) == (0, True)
    monkeypatch.setattr(history, "file", lambda: 1 / 0)
    code, out, err = run("measure", checkpoint, "-c", "demo")
    assert (code, "Score" in out, "Not kept" in err) == (0, True, True)
