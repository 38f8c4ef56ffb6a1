"""manage.py trycontest: what is measured is recorded for the rules it was measured by, and the doctor knows."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import translation

from grader import contest as contests
from grader.protocol.trial import Trial
from grader.schema import decode
from leaderboard.contests import loading
from leaderboard.models import AuditEntry
from leaderboard.operations import doctor, references, trials
from tests import trials as made
from tests.leaderboard.batches import town

pytestmark = pytest.mark.django_db


def run(*options):
    out = StringIO()
    call_command("trycontest", *map(str, options), stdout=out, stderr=StringIO())
    return out.getvalue()


def recorded():
    return AuditEntry.objects.filter(action="contest.try")


def finding(slug="demo"):
    with translation.override("en"):
        return next(f for f in doctor.contests() if f.subject == f"trial of {slug}")


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """A child that measures what it is told to; reading its file again is left to the real one."""
    real, calls = trials.run, []
    facts = {}

    def stand_in(*arguments, as_json):
        if "--report" not in arguments:
            return real(*arguments, as_json=as_json)
        calls.append(list(arguments))
        if error := facts.get("error"):
            if isinstance(error, BaseException):
                raise error
            return error
        loaded = contests.load(arguments[0])
        file = arguments[arguments.index("--report") + 1]
        made.written(Path(file), contest=loaded, **facts)
        return 0, ""

    reference = tmp_path / "reference"
    monkeypatch.setattr(references, "checkpoint", lambda *_: reference)
    monkeypatch.setattr(trials, "run", stand_in)
    stand_in.calls, stand_in.facts, stand_in.reference = calls, facts, reference
    return stand_in


def test_a_trial_is_recorded_for_its_rules_and_the_doctor_is_content(measured, tmp_path):
    path = town.file_of(tmp_path)
    loading.load(str(path))
    assert (finding().level, finding().text) == (
        "warning", "never tried under the rules it has now",
    )  # fmt: skip
    assert "manage.py trycontest demo" in finding().hint
    document = json.loads(run(path, "--teams", 5, "--json"))
    (call,) = measured.calls
    assert call[call.index("--reference") + 1] == str(measured.reference)
    assert call[call.index("--name") + 1] == "w8a8-rtn"
    (entry,) = recorded()
    assert (entry.pk, entry.contest, entry.by_name) == (
        document["recorded"], "demo", "manage.py trycontest",
    )  # fmt: skip
    assert entry.after["grading_sha256"] == contests.load(path).grading_sha256
    assert entry.after["resolutions"] == document["resolutions"]
    assert decode(Trial, json.loads(Path(document["report"]).read_text()))
    assert (finding().level, "nothing doubtful" in finding().text) == ("ok", True)
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        recorded().update(after={})


def test_words_and_weights_change_nothing_and_other_questions_ask_for_another_trial(
    measured, tmp_path
):
    run(town.file_of(tmp_path), "--teams", 5, "--json")
    loading.load(
        str(town.file_of(tmp_path, ("submissions_per_day = 20", "submissions_per_day = 3")))
    )
    assert finding().level == "ok"
    loading.load(str(town.file_of(tmp_path, ("limit = 160", "limit = 100"))))
    assert finding().level == "warning"


def test_what_is_doubtful_stays_with_the_doctor_until_another_trial(measured, tmp_path):
    path = town.file_of(tmp_path)
    loading.load(str(path))
    first, *others = made.trial().prompts
    measured.facts["prompts"] = (replace(first, at_limit=50), *others)
    run(path, "--teams", 5, "--json")
    assert finding().level == "warning"
    assert "TRY_ANSWERS_CUT gsm8k" in finding().text
    measured.facts["prompts"] = (replace(first, cut=3), *others)
    run(path, "--teams", 5, "--json")
    assert finding().level == "error"  # what loadcontest refuses where it can count
    measured.facts.clear()
    run(path, "--teams", 5, "--json")
    assert finding().level == "ok"
    with translation.override("ko"):
        assert "확인" in next(f for f in doctor.contests() if "trial" in f.subject).text
    assert recorded().count() == 3


def test_a_trial_of_a_gpu_box_is_recorded_from_its_file(tmp_path, capfd):
    path = town.file_of(tmp_path)
    file = made.written(tmp_path / "box.json", contest=contests.load(path))
    assert "recorded" in run(path, "--from", file, "--lang", "ko")
    assert "최소 점수 차이" in capfd.readouterr().out
    assert recorded().count() == 1


@pytest.mark.parametrize(
    ("facts", "words"),
    [({"grading_sha256": "f" * 64}, "TRIAL_OF_OTHER_RULES"), (None, "TRIAL_UNREADABLE")],
)
def test_a_file_that_says_nothing_of_this_contest_is_not_recorded(tmp_path, capfd, facts, words):
    path, file = town.file_of(tmp_path), tmp_path / "box.json"
    if facts is None:
        file.write_text("{}")
    else:
        made.written(file, **facts)
    with pytest.raises(CommandError, match="not tried"):
        run(path, "--from", file)
    assert words in capfd.readouterr().err
    assert not recorded().exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), (130, ""), (4, '{"error": {}}')])
def test_a_trial_that_was_stopped_leaves_no_record(measured, tmp_path, error):
    measured.facts["error"] = error
    with pytest.raises(CommandError) as caught:
        run(town.file_of(tmp_path), "--json")
    code = 130 if isinstance(error, KeyboardInterrupt) else error[0]
    assert caught.value.returncode == code
    assert not recorded().exists()


def test_a_quick_look_is_no_trial(measured, tmp_path, monkeypatch):
    path = town.file_of(tmp_path)
    monkeypatch.setattr(trials, "run", lambda *a, as_json: (0, '{"quick": true}'))
    assert "not recorded" in run(path, "--quick")
    assert not recorded().exists()


def test_an_unknown_contest_and_a_reference_that_cannot_be_made_are_told(tmp_path, monkeypatch):
    with pytest.raises(CommandError, match="no contest named"):
        run("nowhere")
    monkeypatch.setenv("COMPRESS_PYTHON", "/nowhere/python")
    with pytest.raises(CommandError, match="nowhere/python"):
        run(town.file_of(tmp_path))
