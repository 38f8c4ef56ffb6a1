"""``baseline trycontest``: what it says of a trial, what it refuses, and one trial on the engine stub."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from grader.contest import find
from grader.problems.catalogue import CATALOGUE
from grader.protocol.trial import OtherTemplate, Trial
from grader.schema import decode
from tests import trials
from tests.trials import N, right

HANGUL = re.compile("[가-힣]")
STUB = Path(__file__).parents[2] / "engine_stub.py"


@pytest.fixture
def small(tmp_path):
    """The demo contest in a folder of its own with few questions and rounds, all of them public."""
    folder = tmp_path / "contest"
    shutil.copytree(find("demo").parent, folder)
    file = folder / "contest.toml"
    text = file.read_text("utf-8")
    for pattern, new in {
        r"public_share = 0.0\ntwin_of = .*\n": "",
        r"limit = \d+": "limit = 8\npublic_share = 1.0",
        r"max_gen_toks = 160": "max_gen_toks = 16",
        r"min_rounds = \d+": "min_rounds = 4",
        r"max_rounds = \d+": "max_rounds = 6",
        r"max_half_width = [\d.]+": "max_half_width = 9.0",
        r"output_tokens = \d+": "output_tokens = 20",
        r"\nconcurrency = 16": "\nconcurrency = 4",
        r"requests = 16": "requests = 4",
    }.items():
        text, found = re.subn(pattern, new, text)
        assert found
    file.write_text(text, "utf-8")
    return folder


def test_a_trial_is_read_again_under_the_rules_it_was_measured_by(run, tmp_path):
    file = trials.written(tmp_path / "trial.json")
    code, out, _ = run("trycontest", "demo", "--from", file, "--teams", 5, "--json")
    document = json.loads(out)
    assert (code, document["ok"], document["findings"]) == (0, True, [])
    assert document["grading_sha256"] == trials.CONTEST.grading_sha256
    assert [one["bos"] for one in document["prompts"]] == ["one", "one", "one"]
    assert document["reference_name"] == "w4a16-rtn"
    assert document["cost"]["teams"] == 5
    assert {r["part"] for r in document["resolutions"]} == {"public", "private"}
    smallest = {(r["part"], r["questions"], r["rounds"]): r["smallest"]
                for r in document["resolutions"]}  # fmt: skip
    for language, words in {
        "en": ("Prompts as sent", "Smallest score difference", "Nothing doubtful was found."),
        "ko": ("실제로 전송된 프롬프트", "최소 점수 차이", "확인이 필요한 점이 없습니다."),
    }.items():
        shown = run("trycontest", "demo", "--from", file, "--teams", 5, "--lang", language)[1]
        pairings = ("side by side (this contest)", "in turns")
        pairings = pairings if language == "en" else ("나란히(이 대회)", "번갈아")
        for word in (
            *words,
            *pairings,
            "gsm8k",
            "w4a16-rtn",
            "1 '<s>'",
            f"{smallest['private', 2, 1]:.4f}",
        ):
            assert word in shown


def test_what_is_doubtful_is_told_with_its_next_step_in_both_languages(run, tmp_path):
    first, *others = trials.trial().prompts
    spoilt = {
        "prompts": (replace(first, cut=3, longest_tokens=999, most_bos=2), *others),
        "reference": None,
        "other_template": (OtherTemplate("gsm8k", False, tuple(right(95))),),
    }
    file = trials.written(tmp_path / "trial.json", **spoilt)
    codes = ["TRY_BOS_TWICE", "TRY_PROMPTS_CUT", "TRY_TEMPLATE", "TRY_NO_REFERENCE"]
    for language in ("en", "ko"):
        arguments = ("trycontest", "demo", "--from", file, "--teams", 5, "--lang", language)
        code, out, _ = run(*arguments, "--json")
        document = json.loads(out)
        assert (code, document["ok"]) == (0, False)
        assert [one["code"] for one in document["findings"]] == codes
        assert document["prompts"][0]["bos"] == "many"
        assert document["resolutions"] == []
        shown = run(*arguments)[1]
        for code in codes:
            assert CATALOGUE[code].hint(language) in shown
    assert HANGUL.search(document["findings"][0]["hint"])
    assert f"3 / {N}, 999 > 863" in shown


@pytest.mark.parametrize(
    ("facts", "arguments", "code"),
    [
        ({"grading_sha256": "f" * 64}, (), "TRIAL_OF_OTHER_RULES"),
        ({"quick": True}, (), "TRIAL_OF_OTHER_RULES"),  # quick, and measured by the whole rules
        ({}, ("--teams", "0"), "USAGE"),
    ],
)
def test_a_trial_that_says_nothing_of_these_rules_is_refused(run, tmp_path, facts, arguments, code):
    file = trials.written(tmp_path / "trial.json", **facts)
    exit_code, out, _ = run("trycontest", "demo", "--from", file, "--json", *arguments)
    assert (exit_code, json.loads(out)["error"]["code"]) == (2, code)


@pytest.mark.parametrize("text", [None, "", "{}", '{"contest": 1}', "[]", "\udcff"])
def test_a_file_that_is_no_trial_is_refused(run, tmp_path, text):
    file = tmp_path / "trial.json"
    if text is not None:
        file.write_text(text, "utf-8", errors="surrogateescape")
    code, _, err = run("trycontest", "demo", "--from", file)
    assert (code, "TRIAL_UNREADABLE" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nowhere",), "CONTEST_UNKNOWN"),
        (("demo", "--reference", "/nowhere"), "CHECKPOINT_NOT_FOUND"),
        (("demo", "--report", "/proc/none/trial.json"), "OUTPUT_UNWRITABLE"),
    ],
)
def test_mistakes_are_told_before_the_work(run, monkeypatch, arguments, code):
    monkeypatch.setattr("baseline.measurement.local_grade.util.find_spec", lambda _: object())
    assert code in run("trycontest", *arguments)[2]


def test_without_the_grader_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setattr("baseline.measurement.local_grade.util.find_spec", lambda _: None)
    for arguments in (("demo",), ("demo", "--prompts")):
        code, _, err = run("trycontest", *arguments)
        assert (code, "PACKAGE_MISSING" in err) == (4, True)


def test_prompts_that_cannot_be_had_here_are_not_called_sound(run, small, monkeypatch):
    """No tokenizer yet: said once for all benchmarks, and nothing is said of the prompts."""
    monkeypatch.setattr("baseline.measurement.local_grade.util.find_spec", lambda _: object())
    for file in (small / "base_model").glob("tokenizer*"):
        file.unlink()
    code, out, _ = run("trycontest", small, "--prompts", "--lang", "ko")
    assert code == 0
    why = "no tokenizer in base_model, prefetch demo brings it"
    assert out.splitlines() == [
        f"! gsm8k, choice, fresh: 여기서 프롬프트를 만들 수 없습니다: {why}"
    ]
    document = json.loads(run("trycontest", small, "--prompts", "--json")[1])
    assert (document["prompts"], sorted(document["unknown"])) == (
        [],
        ["choice", "fresh", "gsm8k"],
    )


@pytest.fixture
def stub(monkeypatch, tmp_path):
    """Engines that all say the answer to the first question."""
    pytest.importorskip("lm_eval")
    question = (find("demo").parent / "data" / "test.jsonl").read_text("utf-8").splitlines()[0]
    gold = json.loads(question)["answer"].split("####")[1].strip()
    with tempfile.TemporaryDirectory(prefix="pb-") as scratch:  # sockets need a short path
        knobs = Path(scratch, "knobs.json")
        said = {"text": f"#### {gold}", "token_s": 0.002}
        knobs.write_text(json.dumps({"base": said, "candidate": said}))
        monkeypatch.setenv("GRADER_ENGINE", f"{sys.executable} -I {STUB} --knobs {knobs}")
        monkeypatch.setenv("GRADER_SCRATCH", f"{scratch}/s")
        monkeypatch.setenv("GRADER_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("GRADER_SANDBOX", "process")
        monkeypatch.setattr("grader.worker.measure.speed.REST_S", 0.0)
        yield Path(scratch, "s")


def test_a_contest_is_tried_from_end_to_end(run, stub, small, tmp_path):
    """Two grades and the other template through the grader's own path, on the stub."""
    report = tmp_path / "trial.json"
    code, out, err = run(
        "trycontest", small, "--reference", small / "base_model", "--name", "itself",
        "--report", report, "--json",
    )  # fmt: skip
    assert code == 0, err
    document = json.loads(out)
    assert [line for line in err.splitlines() if line[:2] in ("1/", "2/", "3/")] == [
        "1/3 the base model against itself",
        "2/3 the reference",
        "3/3 apply_chat_template the other way",
    ]
    measured = decode(Trial, json.loads(report.read_text("utf-8")))
    assert (measured.contest, measured.reference_name, measured.quick) == ("demo", "itself", False)
    assert measured.grading_sha256 == document["grading_sha256"]
    assert [stage.stage for stage in measured.base.stages][-2:] == ["quality", "speed"]
    assert [one.benchmark for one in measured.prompts] == ["gsm8k", "choice", "fresh"]
    assert [len(one.values) for one in measured.other_template] == [8, 8, 8]
    gsm8k = document["benchmarks"][0]
    assert (gsm8k["questions"], gsm8k["reference"]["p"]) == (8, 1.0)
    assert gsm8k["base"] >= 1 / 8
    found = {one["code"] for one in document["findings"]}
    assert {"TRY_NOT_SEPARATED", "TRY_ANSWERS_CUT"} <= found  # every stub answer ends at the limit
    assert document["resolutions"][0]["bounded"]
    assert [
        p.name for p in stub.iterdir() if p.name != "lock"
    ] == []  # engines and folders are gone
    code, _, err = run("trycontest", small, "--report", report)
    assert (code, "OUTPUT_EXISTS" in err) == (2, True)
