"""Contest files: the bundled ones load, and every mistake is reported with its location."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from grader import contest as rules
from grader.schema import encode

DEMO = rules.find("demo")


@pytest.mark.parametrize("name", ["demo", "aimers8"])
def test_bundled_contest_loads(name):
    loaded = rules.load(rules.find(name))
    assert loaded.id == name
    assert (loaded.base_folder / "config.json").is_file()
    config = json.loads((loaded.base_folder / "config.json").read_text())
    assert config["architectures"] == [loaded.base_model.architecture]


def test_demo_base_model_has_the_size_the_contest_says():
    loaded = rules.load(DEMO)
    weights = loaded.base_folder.glob("*.safetensors")
    assert sum(path.stat().st_size for path in weights) == loaded.base_model.safetensors_bytes


def test_aimers8_has_both_formulas_of_the_event():
    formulas = rules.load(rules.find("aimers8")).scoring.formulas
    online, final = formulas["aimers8-online"], formulas["aimers8-final"]
    assert (online.accuracy, online.memory, online.speed) == (0.5, 0.0, 0.5)
    assert (final.accuracy, final.memory, final.speed) == (0.6, 0.2, 0.2)


def test_aimers8_grades_gsm8k_as_the_event_did():
    (gsm8k,) = (b for b in rules.load(rules.find("aimers8")).benchmarks if b.id == "gsm8k")
    assert (gsm8k.num_fewshot, gsm8k.limit, gsm8k.max_gen_toks) == (5, 512, 2048)
    assert gsm8k.apply_chat_template and not gsm8k.enable_thinking


LATER = """
[[phases]]
id = "second"
title = {{ en = "Second", ko = "두 번째" }}
start = {start}-01-01T00:00:00+09:00
end = 2038-01-01T00:00:00+09:00
{more}

[[references]]"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("accuracy = 0.6", "accuracy = 0.7", "formulas.final: weights must sum to 1, found 1.1"),
        ("weight = 0.64", "weight = 0.54", "benchmarks: weights must sum to 1, found 0.9"),
        ("limit = 160", "limits = 160", "benchmarks[0].limits: unknown key"),
        ("limit = 160", 'limit = "160"', "benchmarks[0].limit: expected int, found str"),
        ("limit = 160", "limit = true", "benchmarks[0].limit: expected int, found bool"),
        ('formula = "final"', 'formula = "finale"', "no formula named 'finale'"),
        ("end = 2036", "end = 2025", "phases[0].end: must be after start"),
        (
            "\n[[references]]",
            LATER.format(start=2035, more=""),
            "phases[1].start: must not be before the end of",
        ),
        (
            "\n[[references]]",
            LATER.format(start=2037, more="freeze = 2039-01-01T00:00:00+09:00"),
            "phases[1].freeze: must be between start and end",
        ),
        (
            "\n[[references]]",
            LATER.format(start=2037, more="select_until = 2037-01-01T00:00:00+09:00"),
            "phases[1].select_until: must be after start",
        ),
        (
            "\n[[references]]",
            LATER.format(start=2037, more='formula = "final"'),
            "phases[1].formula: unknown key",
        ),
        ("T00:00:00+09:00\nend", "T00:00:00\nend", "needs a time zone offset"),
        ("max_half_width = 0.4", "max_half_width = inf", "must be a finite number"),
        ('metric = "acc,none"', 'metric = "acc"', "metric,filter"),
        ("schema = 1", "schema = 2", "reads schema 1"),
        ('id = "choice"', 'id = "gsm8k"', "two entries have the same id"),
        ('twin_of = "gsm8k"', 'twin_of = "gsm9k"', "twin_of: no benchmark has the id 'gsm9k'"),
        (
            'twin_of = "gsm8k"',
            'twin_of = "fresh"',
            "benchmarks[2].twin_of: 'fresh' is a twin itself",
        ),
        ("public_share = 0.0", "public_share = 0.1", "benchmarks[2].public_share: must be 0 for a"),
        (
            "limit = 80",
            'limit = 80\npublic_share = 0.0\ntwin_of = "gsm8k"',
            "benchmarks[1].twin_of: 'gsm8k' has another twin",
        ),
        ("[engine]", "[engine]\ntensor_parallel = 0", "engine.tensor_parallel: must be between 1"),
        ("[engine]", "[engine]\ntensor_parallel = 65", "engine.tensor_parallel: must be between 1"),
        (
            "min_rounds =",
            'pairing = "alone"\nmin_rounds =',
            "speed.pairing: expected one of 'side_by_side', 'turns'",
        ),
        (
            "min_rounds =",
            'pairing = "turns"\nmin_rounds = 5 #',
            "speed.min_rounds: must be even and at least 2 where engines take turns, found 5",
        ),
        ("min_rounds =", "block_rounds = 0\nmin_rounds =", "speed.block_rounds: must be at least"),
        ("[limits]", "[limits", "line"),
        ('id = "demo"', 'id = "two words"', "id: must be at most 50 letters, digits"),
        ('id = "demo"', f'id = "{"x" * 51}"', "id: must be at most 50 letters, digits"),
    ],
)
def test_mistake_is_named_where_it_stands(old, new, message):
    source = DEMO.read_text()
    assert old in source
    with pytest.raises(rules.ContestError) as caught:
        rules.parse(source.replace(old, new, 1), DEMO.parent)
    assert message in str(caught.value)


def test_a_later_key_with_its_default_changes_no_digest():
    """Contests that do not use it keep their workers and stored base runs."""
    contest = rules.load(DEMO)
    assert "tensor_parallel" not in encode(contest.engine)
    assert not {"pairing", "block_rounds"} & encode(contest.speed).keys()
    engine = dataclasses.replace(contest.engine, tensor_parallel=2)
    assert encode(engine)["tensor_parallel"] == 2
    assert dataclasses.replace(contest, engine=engine).grading_sha256 != contest.grading_sha256
    speed = dataclasses.replace(contest.speed, pairing="turns", min_rounds=4, max_rounds=8)
    assert encode(speed)["pairing"] == "turns"
    assert dataclasses.replace(contest, speed=speed).grading_sha256 != contest.grading_sha256


def test_unknown_contest_lists_those_that_exist():
    with pytest.raises(rules.ContestError, match=r"'nope'; known: .*demo"):
        rules.find("nope")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(rules.ContestError, match=r"gone\.toml"):
        rules.load(tmp_path / "gone.toml")


def test_a_contest_needs_public_questions_for_its_public_board():
    text = (
        rules.find("demo")
        .read_text("utf-8")
        .replace("limit = 160", "limit = 160\npublic_share = 0.0")
    )
    assert rules.parse(text, Path()).benchmarks[0].public_share == 0.0
    text = text.replace("limit = 80", "limit = 80\npublic_share = 0.0")
    with pytest.raises(rules.ContestError, match="needs public questions"):
        rules.parse(text, Path())


def test_twins_change_no_digest_of_a_contest_without_them():
    """``twin_of`` and the thresholds came later: workers of contests without twins are not asked to change."""
    contest = rules.load(rules.find("qwen3-0.6b"))
    document = encode(contest)
    assert contest.twins == ()
    assert not any("twin_of" in benchmark for benchmark in document["benchmarks"])
    assert not {"likelihood_questions", "learned_z"} & set(document["compliance"])
