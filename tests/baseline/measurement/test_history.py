from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseline.checkpoint.contests import rules
from baseline.commands.history import points
from baseline.measurement import history
from baseline.measurement.result import as_document
from baseline.terminal.svg import Point, scatter, ticks
from tests.baseline.reports import report


@pytest.fixture
def measured():
    """Store a measurement with every ``wrong``-th question wrong."""
    contest = rules("demo")

    def keep(wrong, **about):
        document = as_document(report(wrong), contest, contest.formula)
        about = {"path": "/x/small", "label": "", "quick": False, "only": ""} | about
        return history.append(about | document)

    return keep


def test_measurements_are_numbered_and_listed(measured, run):
    assert (measured(4), measured(5, label="second", quick=True)) == (1, 2)
    code, out, _ = run("history")
    assert code == 0
    assert "small" in out and "second" in out and "quick" in out and "0.8000" in out
    listed = json.loads(run("history", "--json", "--last", "1")[1])["measurements"]
    assert [m["number"] for m in listed] == [2]
    assert "questions" not in listed[0]
    assert "Score" in run("history", "1")[1]


def test_a_note_with_the_terminals_markup_is_shown_as_it_is(measured, run, tmp_path):
    note = "try [/8bit] [red]x :warning: \x1b[2J"
    measured(4, label=note), measured(4, path="/x/[red]y", only="[/b]")
    code, out, _ = run("history")
    assert code == 0
    shown = note.replace("\x1b", "\ufffd")
    assert shown in out and "[red]y" in out
    assert shown in run("history", "--plot", "score")[1]
    assert run("history", "2")[0] == 0
    svg = tmp_path / "[/dim].svg"
    assert str(svg) in run("history", "--svg", svg)[1]


def test_two_are_compared_question_by_question(measured, run):
    measured(2), measured(20)
    document = json.loads(run("history", "1", "2", "--json")[1])
    by_name = {d["name"]: d for d in document["differences"]}
    accuracy = by_name["accuracy"]
    assert accuracy["difference"] == pytest.approx(0.45)
    assert accuracy["paired"] and accuracy["clear"]
    # 18 of 40 differ by one; three benchmarks with weights 0.64, 0.16 and 0.2
    assert accuracy["half_width"] == pytest.approx(1.96 * 0.5038 * (0.4752 / 40) ** 0.5, rel=1e-3)
    assert by_name["memory"]["clear"] is False
    assert by_name["score"]["difference"] == pytest.approx(0.6 * 0.45)
    _, out, _ = run("history", "1", "2")
    assert "paired by question" in out and "within the noise" in out


def test_pairing_is_narrower_than_two_intervals_and_needs_equal_questions(measured):
    measured(4), measured(5)
    first, second = history.read()
    paired = history.compare(first, second)[0]
    second["questions"]["gsm8k"]["digest"] = "other"
    unpaired = history.compare(first, second)[0]
    assert paired.paired and not unpaired.paired
    assert paired.value == unpaired.value


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("7",), "MEASUREMENT_UNKNOWN"), (("1", "2", "3"), "TOO_MANY"), (("--plot", "x"), "PLOT_UNKNOWN")],
)  # fmt: skip
def test_what_is_not_there_is_one_line(measured, run, arguments, code):
    measured(4)
    found, _, err = run("history", *arguments)
    assert (found, code in err, "→" in err) == (2, True, True)


def test_other_contests_are_not_compared(measured, run):
    measured(4), measured(5, contest="other")
    assert [m["contest"] for m in history.read("demo")] == ["demo", "demo"][
        : len(history.read("demo"))
    ]
    file = history.file()
    file.write_text(file.read_text().replace('"contest": "demo"', '"contest": "other"', 1))
    code, _, err = run("history", "1", "2")
    assert (code, "NOT_COMPARABLE" in err) == (2, True)


def test_a_line_torn_by_a_full_disk_is_passed_over(measured):
    measured(4)
    with history.file().open("a") as stream:
        stream.write('{"number": 2, "con')
    assert measured(5) == 3
    assert [m["number"] for m in history.read()] == [1, 3]


@pytest.mark.parametrize(
    "line", [b"{}", b"[1]", b'{"number": "1"}', '{"label": "첫'.encode()[:-1], b"\xff\xfe"]
)
def test_a_line_that_is_no_measurement_stops_nothing(measured, run, line):
    measured(4)
    with history.file().open("ab") as stream:
        stream.write(line + b"\n")
    assert measured(5, label="a\u2028b") == 3
    for arguments in ((), ("3",), ("1", "3"), ("--plot", "score"), ("--json",)):
        assert run("history", *arguments)[0] == 0
    records = history.read()
    assert [r["number"] for r in records] == [1, 3] and records[1]["label"] == "a\u2028b"


def test_a_history_that_cannot_be_read_is_one_line(run):
    history.file().mkdir(parents=True)
    code, _, err = run("history")
    assert (code, "HISTORY_UNREADABLE" in err, "→" in err) == (4, True, True)


@pytest.mark.parametrize("kind", ["tradeoff", "score"])
def test_the_plot_in_the_terminal_and_as_a_file(measured, run, tmp_path, kind):
    measured(4), measured(5, label="<b> & co")
    code, out, _ = run("history", "--plot", kind)
    assert code == 0 and len(out.splitlines()) > 20
    file = tmp_path / "plot.svg"
    assert run("history", "--plot", kind, "--svg", file)[0] == 0
    root = ElementTree.parse(file).getroot()
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "2 <b> & co" in texts
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 2
    assert run("history", "--svg", file)[0] == 2  # already there
    code, _, err = run("history", "--svg", tmp_path, "--force")
    assert (code, "OUTPUT_IS_A_FOLDER" in err) == (2, True)


def test_nothing_measured_yet(run):
    code, out, err = run("history")
    assert (code, out) == (0, "") and "baseline measure" in err
    assert points([], "score") == []
    ElementTree.fromstring(scatter([], "empty", "x", "y"))


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_ticks_are_round_and_cover_the_values(one, other):
    low, high = min(one, other), max(one, other)
    found = ticks(low, high)
    assert 2 <= len(found) <= 9
    assert found == sorted(set(found))
    tolerance = 1e-6 * max(1.0, abs(low), abs(high))
    assert found[0] <= low + tolerance and found[-1] >= high - tolerance


@given(
    st.lists(
        st.builds(Point, st.text(max_size=8), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
        max_size=6,
    )
)
def test_every_plot_is_well_formed(found):
    safe = [p for p in found if p.label.isprintable()]
    root = ElementTree.fromstring(scatter(safe, "title", "x", "y"))
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == len(safe)
