"""manage.py loadcontest: what is wrong and where, what changes, and the effect."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from grader import contest as contests
from grader.protocol.documents import Item
from grader.protocol.worker import MAX_QUESTIONS, REPORT_BYTES
from grader.schema import encode
from leaderboard.contests import lm_eval_tasks, loading
from leaderboard.models import AuditEntry, Contest, ContestVersion
from leaderboard.operations import trials
from tests import factories
from tests.leaderboard.batches import town

pytestmark = pytest.mark.django_db


def run(path, *options):
    out = StringIO()
    call_command("loadcontest", str(path), *options, "--skip-prompts", stdout=out)
    return out.getvalue()


BROKEN = {  # old text, new text, line that must be named, word of the message
    "weights": ("weight = 0.64", "weight = 0.54", "[[benchmarks]]", "found 0.9"),
    "formula": ("accuracy = 0.6", "accuracy = 0.7", "[scoring.formulas.final]", "found 1.1"),
    "unknown key": ("max_num_seqs", "max_num_sequences", "max_num_sequences", "unknown key"),
    "type": ("limit = 160", 'limit = "160"', 'limit = "160"', "expected int"),
    "task": ('task = "demo_choice"', 'task = "mmlu_pr0"', 'task = "mmlu_pr0"', "lm-eval"),
    "twin": ('twin_of = "gsm8k"', 'twin_of = "gsm9k"', 'twin_of = "gsm9k"', "no benchmark"),
    "dates": ("end = 2036-01-01", "end = 2025-01-01", "end = 2025-01-01", "must be after start"),
    "zone": ("end = 2036-01-01T00:00:00+09:00", "end = 2036-01-01T00:00:00",
             "end = 2036-01-01T00:00:00", "time zone"),
    "syntax": ("[limits]", "[limits", "[limits", "Expected"),
    "missing": ('metric = "acc,none"\n', "", "[[benchmarks]]", "benchmarks[1].metric: missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_named_with_its_line_and_nothing_is_changed(tmp_path, name):
    contest, _ = loading.load(str(town.file_of(tmp_path)))
    old, new, at, word = BROKEN[name]
    path = town.file_of(tmp_path, (old, new))
    with pytest.raises(CommandError) as caught:
        run(path)
    file, line, message = str(caught.value).split(":", 2)
    assert file == str(path)
    assert path.read_text("utf-8").splitlines()[int(line) - 1].strip().startswith(at)
    assert word in message
    before = contest.version
    contest.refresh_from_db()
    assert (contest.version, contest.pending) == (before, None)


def test_words_and_dates_come_into_force_at_once_and_waiting_entries_follow(tmp_path):
    contest = town.build(tmp_path)
    waiting = factories.checked(evaluation=factories.submission(contest=contest))
    path = town.file_of(tmp_path, ("submissions_per_day = 20", "submissions_per_day = 30"))
    said = run(path)
    assert "limits.submissions_per_day: 20 → 30\n" in said
    assert "in force" in said
    contest.refresh_from_db()
    waiting.refresh_from_db()
    assert contest.pending is None
    assert waiting.version == contest.version
    assert waiting.transitions.last().by == "manage.py loadcontest"


@pytest.mark.parametrize(
    ("change", "effect"),
    [
        (("weight = 0.64", "weight = 0.44"), "rescore"),
        (("[scoring]", "[scoring]\naccuracy_cap = 1.2"), "rescore"),
        (("limit = 160", "limit = 100"), "regrade"),
        (town.CHANGED_WEIGHTS, "rescore"),
        (("concurrency = 16", "concurrency = 8"), "regrade"),
        (town.SALTED, "rescore"),
    ],
)
def test_what_moves_scores_waits_and_says_what_to_do(tmp_path, change, effect):
    contest = town.build(tmp_path)
    moved = "weight = 0.64" in change
    changes = [change, ("weight = 0.2", "weight = 0.4")] if moved else [change]
    path = town.file_of(tmp_path, *changes)
    plan = json.loads(run(path, "--dry-run", "--json"))
    assert (plan["effect"], plan["waits"], plan["changed"]) == (effect, True, False)
    contest.refresh_from_db()
    assert contest.pending is None
    said = run(path)
    assert f"manage.py batch {effect} demo --reason" in said
    contest.refresh_from_db()
    assert contest.pending.sha256 == plan["sha256"]


def test_before_the_first_score_everything_comes_into_force_at_once(tmp_path):
    loading.load(str(town.file_of(tmp_path)))
    run(town.file_of(tmp_path, ("limit = 160", "limit = 100")))
    contest = Contest.objects.get(slug="demo")
    assert contest.pending is None
    assert contest.rules.benchmarks[0].limit == 100


def test_going_back_to_the_file_in_force_takes_the_waiting_one_away(tmp_path):
    contest = town.build(tmp_path)
    loading.load(str(town.file_of(tmp_path, town.CHANGED_WEIGHTS)))
    loading.load(str(town.file_of(tmp_path)))
    contest.refresh_from_db()
    assert contest.pending is None


def test_contests_stand_side_by_side(tmp_path):
    loading.load("demo")
    loading.load("aimers8")
    assert set(Contest.objects.values_list("slug", flat=True)) == {"demo", "aimers8"}
    assert AuditEntry.objects.filter(action="contest.load").count() == 2


def test_what_is_not_pinned_is_said_each_time(tmp_path):
    """A branch may mean other questions tomorrow, and then teams would get different ones."""
    named = (
        'task = "demo_gsm8k"\n',
        'task = "demo_gsm8k"\ndataset = "org/sums"\nrevision = "main"\n',
    )
    path = town.file_of(tmp_path, named)
    assert "not pinned: org/sums; manage.py prefetch demo --pin prints its commit" in run(path)
    assert "org/sums" in run(path)
    pinned = town.file_of(tmp_path, (named[0], named[1].replace("main", "a" * 40)))
    assert "not pinned" not in run(pinned)


def test_the_list_of_tasks_is_that_of_the_installed_lm_eval():
    assert lm_eval_tasks.installed() == lm_eval_tasks.shipped()
    assert {"gsm8k", "ifeval", "kmmlu"} <= lm_eval_tasks.shipped()


FAULTS = {  # old text, new text, line that must be named, code
    "architecture": ('"Exaone4ForCausalLM"', '"MadeUpForCausalLM"', "architecture =",
                     "ARCHITECTURE_UNKNOWN: vLLM 0.32.0 does not serve MadeUpForCausalLM."),
    "no room": ("max_gen_toks = 160", "max_gen_toks = 1024", "max_gen_toks =",
                "NO_ROOM_FOR_PROMPT: 1024 tokens of answer leave no room for a prompt in 1024 tokens."),
    "shape": ("output_tokens = 48", "output_tokens = 961", "input_tokens =",
              "SHAPE_TOO_LONG: prompt and answer are 1025 tokens long, and the engine takes 1024."),
    "folder": ('folder = "base_model"', 'folder = "data"', "folder =", "BASE_CONFIG:"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_would_fail_for_every_entry_is_refused_with_its_line(tmp_path, name):
    old, new, at, said = FAULTS[name]
    path = town.file_of(tmp_path, (old, new))
    with pytest.raises(CommandError) as caught:
        run(path)
    first = str(caught.value).splitlines()[0]
    file, line, message = first.split(":", 2)
    assert path.read_text("utf-8").splitlines()[int(line) - 1].strip().startswith(at)
    assert said in message
    assert not Contest.objects.exists()


def test_base_model_without_headers_is_refused_with_the_command_that_brings_them(tmp_path):
    path = town.file_of(tmp_path)
    (tmp_path / "base_model").unlink()
    (tmp_path / "base_model").mkdir()
    config = contests.CONTESTS / "demo" / "base_model" / "config.json"
    (tmp_path / "base_model" / "config.json").write_bytes(config.read_bytes())
    with pytest.raises(CommandError, match=r"BASE_HEADERS.*prefetch demo --headers"):
        run(path)


def with_prompts(path, *options):
    """The same with the prompts counted, in a child of its own."""
    out = StringIO()
    call_command("loadcontest", str(path), *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_prompts_that_do_not_fit_are_refused_with_their_line(tmp_path):
    """By lm-eval itself: 49 tokens are left for prompts of up to 59."""
    pytest.importorskip("lm_eval")
    longer = ("max_gen_toks = 160", "max_gen_toks = 250")
    path = town.file_of(tmp_path, ("max_model_len = 1024", "max_model_len = 300"), longer)
    with pytest.raises(CommandError) as caught:
        with_prompts(path)
    file, line, key, code, said = str(caught.value).split(":", 4)
    assert (file, key, code) == (str(path), " benchmarks[0].max_gen_toks", " PROMPTS_CUT")
    assert path.read_text("utf-8").splitlines()[int(line) - 1] == "max_gen_toks = 250"
    assert "of 160 prompts do not fit: the longest has 59 tokens, and 49 fit" in said
    assert not Contest.objects.exists()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            (4, {"error": {"code": "PACKAGE_MISSING", "message": "needs lm_eval.", "hint": ""}}),
            "prompts not counted here: PACKAGE_MISSING: needs lm_eval.",
        ),
        (
            (0, {"prompts": [], "findings": [], "unknown": {"choice": "SYS_DATASET choice"}}),
            "prompts of choice not counted here: SYS_DATASET choice",
        ),
        (
            (0, {"prompts": [], "unknown": {}, "findings": [
                {"code": "TRY_BOS_TWICE", "where": "choice", "sentence": "Two.", "hint": "Remove."}
            ]}),
            "choice: TRY_BOS_TWICE: Two. Remove.",
        ),
    ],
)  # fmt: skip
def test_what_could_not_be_counted_is_said_and_keeps_no_contest_out(
    tmp_path, monkeypatch, answer, said
):
    code, document = answer
    monkeypatch.setattr(trials, "run", lambda *_, as_json: (code, json.dumps(document)))
    assert said in with_prompts(town.file_of(tmp_path))
    assert Contest.objects.get(slug="demo").version
    assert json.loads(with_prompts(tmp_path / "contest.toml", "--json"))["prompts"] is not None


def test_a_contest_whose_reports_would_be_too_long_is_refused(tmp_path, monkeypatch):
    path = town.file_of(tmp_path, ("limit = 160", "limit = 65000"))
    with pytest.raises(CommandError, match=r"TOO_MANY_QUESTIONS: .* 65,140 questions.* 65,000"):
        run(path)
    one = {
        "benchmark": "x",
        "cut": 0,
        "questions": 40_000,
    }  # with no limit, known only when counted
    document = {"prompts": [one, one], "findings": [], "unknown": {}}
    monkeypatch.setattr(trials, "run", lambda *_, as_json: (0, json.dumps(document)))
    with pytest.raises(CommandError, match=r"TOO_MANY_QUESTIONS: .* 80,000 questions.* 65,000"):
        with_prompts(town.file_of(tmp_path))


def test_reports_of_as_many_questions_as_a_contest_may_have_are_short_enough():
    question = Item(MAX_QUESTIONS, "f" * 64, "f" * 64, 1 / 3, 1 / 7)
    text = json.dumps(encode(question), separators=(",", ":"))
    assert (len(text) + 1) * MAX_QUESTIONS < 0.95 * REPORT_BYTES


def test_a_relative_path_is_counted_like_any_other(tmp_path, monkeypatch):
    pytest.importorskip("lm_eval")
    town.file_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    out = StringIO()
    call_command("loadcontest", "contest.toml", "--dry-run", stdout=out)
    assert "not counted" not in out.getvalue()


def test_a_contest_from_before_the_cap_keeps_its_scores_until_its_file_changes(tmp_path):
    contest = town.build(tmp_path)
    ContestVersion.objects.update(capped_by_default=False)  # as the migration finds them
    contest.refresh_from_db()
    assert contest.rules.scoring.accuracy_cap == "none"
    assert contest.rules.sha256 == contest.version.sha256
    loading.load(str(town.file_of(tmp_path)))  # the same file again is the same rules
    contest = Contest.objects.get()
    assert (contest.rules.scoring.accuracy_cap, contest.pending) == ("none", None)
    said = run(town.file_of(tmp_path, ("submissions_per_day = 20", "submissions_per_day = 30")))
    assert "scoring.accuracy_cap: none → " in said
    contest.refresh_from_db()
    assert contest.pending.rules.scoring.accuracy_cap == "base"  # waits for a rescore
