"""Rewritten questions: other numbers, right answers, and nothing where the program does not understand."""

from __future__ import annotations

import json
import random
import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from grader.contest import find, load
from leaderboard.contests.drafting import twins, twins_file
from leaderboard.contests.drafting.twins import NoTwinError, rewrite

QUESTION = (
    "Rachel picks 48 pears in the morning and half as many in the afternoon. She packs them into crates of "
    "9 pears and sells each crate for $15. Her brother Tom ate 8. How much does Rachel earn?"
)
ANSWER = (
    "In the afternoon Rachel picks 48/2=<<48/2=24>>24 pears.\n"
    "That makes 48+24=<<48+24=72>>72 pears.\n"
    "She fills 72/9=<<72/9=8>>8 crates.\n"
    "So she earns 8*15=$<<8*15=120>>120.\n"
    "#### 120"
)
PLAIN = QUESTION.replace(" Her brother Tom ate 8.", "")


def numbers(text):
    return [int(number) for number in re.findall(r"\d+", text)]


@given(st.integers(0, 2**32))
def test_the_solution_follows_from_the_new_question(seed):
    twin = rewrite(PLAIN, ANSWER, random.Random(seed))
    pears, crate, price = numbers(twin.question)
    total = pears + pears // 2
    assert total % crate == 0
    assert twin.answer.endswith(f"\n#### {total // crate * price}")
    assert f"<<{pears}/2={pears // 2}>>{pears // 2} pears" in twin.answer
    assert f"<<{total}/{crate}={total // crate}>>" in twin.answer
    assert twin.answer.rpartition(" ")[2] != "120"


@given(st.integers(0, 2**32))
def test_names_change_everywhere_alike(seed):
    twin = rewrite(PLAIN, ANSWER, random.Random(seed))
    name = twin.question.partition(" ")[0]
    assert name != "Rachel"
    assert (twin.question.count(name), twin.answer.count(name)) == (2, 1)
    assert "Rachel" not in twin.question + twin.answer


def test_a_number_that_equals_a_result_by_chance_is_not_confused_with_it():
    """Tom's 8 pears are not the 8 crates: either nothing is made, or both are equal again."""
    for seed in range(30):
        try:
            twin = rewrite(QUESTION, ANSWER, random.Random(seed))
        except NoTwinError:
            continue
        ate = numbers(twin.question)[-1]
        assert f"={ate}>>{ate} crates" in twin.answer


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Ann has 14 eggs.", "Ann has 14 eggs.\n#### 14"),  # no arithmetic
        ("Ann has 14 eggs and buys 20.", "<<14+20=35>>35\n#### 35"),  # wrong arithmetic
        ("Ann has 14 eggs and buys 20.", "<<14+20=34>>34\n#### 33"),  # another final answer
        ("Ann has 14 eggs and buys 20.", "<<14+20=34>>34"),  # none
        ("Ann has 14 eggs and buys 20.", "<<len('x')=1>>1\n#### 1"),
        ("Ann has 14 eggs and buys 20.", "<<__import__('os').getpid()=1>>1\n#### 1"),
        ("Ann has 14 eggs and buys 20.", "<<9**9**9**9=1>>1\n#### 1"),
        ("Ann has 14 eggs and buys 20.", "<<1/0=1>>1\n#### 1"),
        ("Ann has 14 eggs and buys 20.", f"<<{'(' * 150}1{')' * 40}=1>>1\n#### 1"),
        ("Ann gets 2 eggs and 7 more.", "<<2+7=9>>9\n#### 9"),  # constants only
        ("Ann saves 15% of $80.", "<<15/100*80=12>>12\n#### 12.5"),
        ("Above 40 hours, overtime is paid: Ann works 45.", "<<45-40=5>>5\n#### 5"),  # a condition
        ("Ann has fifteen eggs, and Bob 15 and 20.", "<<15+20=35>>35\n#### 35"),  # spelled out
    ],
)
def test_what_is_not_understood_is_left_out(question, answer):
    with pytest.raises(NoTwinError):
        rewrite(question, answer, random.Random(1))


def test_percentages_times_and_constants_keep_their_meaning():
    question = "A shop sells 350 lamps in 7 days, 20% of them on 1 day, at $18 each from 9 a.m. on."
    answer = "<<350*20/100=70>>70 lamps that day.\n70*18=$<<70*18=1260>>1,260\n#### 1260"
    for seed in range(20):
        twin = rewrite(question, answer, random.Random(seed))
        assert "in 7 days, 20% of them on 1 day" in twin.question
        assert "9 a.m." in twin.question
        lamps, price = numbers(twin.question)[0], numbers(twin.question)[4]
        assert twin.answer.endswith(f"#### {lamps // 5 * price}")


def test_solutions_that_are_nothing_but_arithmetic_are_read_too():
    twin = rewrite("Jun has 56 pens and buys 87.", "56 + 87 = 143\n#### 143", random.Random(3))
    one, other = numbers(twin.question)
    assert twin.answer == f"{one} + {other} = {one + other}\n#### {one + other}"


@pytest.fixture
def base():
    return find("demo").parent / "base_model"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "questions.jsonl"
    rows = [{"question": PLAIN, "answer": ANSWER}, {"question": "Why?", "answer": "Because."}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_the_command_writes_json_lines(file, tmp_path):
    out, told = tmp_path / "new" / "twins.jsonl", StringIO()
    call_command("twins", str(file), "--out", str(out), "--seed", "s", stdout=told)
    assert told.getvalue().strip().endswith("1 twins of 2 questions")
    (row,) = map(json.loads, out.read_text("utf-8").splitlines())
    assert set(row) == {"question", "answer"}
    before = out.read_text("utf-8")
    call_command("twins", str(file), "--out", str(out), "--seed", "s", stdout=told)
    assert out.read_text("utf-8") == before  # the same seed, the same twins


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not JSON\n", "TWINS_UNREADABLE"),
        ('{"question": "Why?"}\n', "TWINS_UNREADABLE"),
        ("[1]\n", "TWINS_UNREADABLE"),
        ('{"question": "Why?", "answer": "Because."}\n', "TWINS_NONE"),
        ("", "TWINS_NONE"),
    ],
)
def test_an_unusable_file_is_refused(tmp_path, text, code):
    path = tmp_path / "questions.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(CommandError, match=code):
        call_command("twins", str(path), "--out", str(tmp_path / "out.jsonl"))
    assert not (tmp_path / "out.jsonl").exists()


def test_without_a_seed_nobody_can_make_them_again(file):
    made = {twins_file.make(file)[1][0].question for _ in range(5)}
    assert len(made) > 1


def test_most_of_the_demos_questions_have_a_twin():
    rows = [
        json.loads(line)
        for line in (find("demo").parent / "data/test.jsonl").read_text("utf-8").splitlines()[:100]
    ]
    assert len(list(twins.rewrite_all(rows, random.Random(1)))) > 60


def test_newcontest_makes_a_twin_of_word_problems(tmp_path, base):
    questions = find("demo").parent / "data/test.jsonl"
    out = tmp_path / "mine"
    call_command(
        "newcontest", "--base", str(base), "--out", str(out), "--gpu", "cpu", "--twins", str(questions),
        stdout=StringIO(),
    )  # fmt: skip
    contest = load(out / "contest.toml")
    assert contest.twins == (("word-problems", "word-problems-fresh"),)
    twin = contest.benchmarks[-1]
    assert (twin.public_share, twin.task) == (0.0, "word_problems_fresh")
    lines = (out / "data/word_problems_fresh.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == 256
    known = set(questions.read_text("utf-8").splitlines())
    assert not known & set(lines)


@pytest.mark.parametrize(
    ("chosen", "text", "code"),
    [
        ("choose-solution", None, "TWINS_NO_BENCHMARK"),
        ("word-problems", json.dumps({"question": PLAIN, "answer": ANSWER}), "TWINS_TOO_FEW"),
    ],
)
def test_newcontest_says_why_there_is_no_twin(tmp_path, base, chosen, text, code):
    questions = find("demo").parent / "data/test.jsonl"
    if text:
        questions = tmp_path / "few.jsonl"
        questions.write_text(text, "utf-8")
    with pytest.raises(CommandError, match=code):
        call_command(
            "newcontest", "--base", str(base), "--out", str(tmp_path / "mine"), "--gpu", "cpu",
            "--benchmarks", chosen, "--twins", str(questions), stdout=StringIO(),
        )  # fmt: skip
    assert not (tmp_path / "mine").exists()
