"""The catalog: complete, in two languages, in families. Mistakes in its files are refused by name."""

from __future__ import annotations

import re
import shutil
import tomllib

import pytest

from grader.problems.catalogue import CATALOGUE, TEXTS, CatalogueError, Fault, Stage, load

FAMILIES = [
    "UPLOAD",
    "HUB",
    "TEAM",
    "WEBHOOK",
    "CONTEST",
    "RULING",
    "ARCHIVE",
    "LAYOUT",
    "JSON",
    "CONFIG",
    "ST",
    "INDEX",
    "QUANT",
    "KERNEL",
    "TOKENIZER",
    "TEMPLATE",
    "GENCONF",
    "WEIGHTS",
    "LOAD",
    "RUN",
    "FLAG",
    "TRY",
    "SYS",
]


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_code_says_what_and_what_next(code: str) -> None:
    kind = CATALOGUE[code]
    assert re.fullmatch(r"[A-Z]+(_[A-Z0-9]+)+", code)
    assert code.partition("_")[0] in FAMILIES
    for text in (kind.sentence("en"), kind.hint("en")):
        assert re.fullmatch(r"\S.*[.]", text)
    for text in (kind.sentence("ko"), kind.hint("ko-kr")):
        assert re.search(r"[가-힣]", text)
        assert re.fullmatch(r".*(니다|세요)(\([^)]*\))?\.", text), text


OURS = {"UPLOAD_DISK_FULL", "UPLOAD_LOST", "HUB_AWAY", "HUB_OFF"}


def test_our_faults_are_not_the_teams() -> None:
    for code, kind in CATALOGUE.items():
        assert (kind.fault is Fault.SYSTEM) == (code.startswith("SYS_") or code in OURS), code


FINE = """
[SCORE_NEW]
fault = "team"
sentence.en = "It is new."
sentence.ko = "새로 생겼습니다."
hint.en = "Wait."
hint.ko = "기다려 주세요."
"""


def without(table: str, key: str) -> str:
    """Return the table without the lines of a key."""
    return "".join(line for line in table.splitlines(True) if not line.startswith(key))


def add(file, table):
    file.write_text(file.read_text("utf-8") + table, "utf-8")


@pytest.fixture
def texts(tmp_path):
    """A copy of the catalog's files to make mistakes in."""
    return shutil.copytree(TEXTS, tmp_path / "texts")


def test_catalogue_is_what_its_files_say(texts):
    assert load(texts) == CATALOGUE
    for file in TEXTS.glob("*.toml"):
        if file.name != "hints.toml":
            codes = tomllib.loads(file.read_text("utf-8"))
            assert codes.keys() == {c for c, k in CATALOGUE.items() if k.stage == file.stem}


def test_new_code_is_a_table_in_the_file_of_its_stage(texts):
    add(texts / "score.toml", FINE)
    kind = load(texts)["SCORE_NEW"]
    assert (kind.stage, kind.fault) == (Stage.SCORE, Fault.TEAM)
    assert [kind.sentence("en"), kind.hint("ko")] == ["It is new.", "기다려 주세요."]


def test_system_faults_without_a_hint_share_one(texts):
    shared = tomllib.loads((texts / "hints.toml").read_text("utf-8"))["system"]
    add(texts / "score.toml", without(FINE, "hint").replace('"team"', '"system"'))
    hint = load(texts)["SCORE_NEW"].hint
    assert {"en": hint.en, "ko": hint.ko} == shared


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (without(FINE, "sentence.ko"), "score.toml: SCORE_NEW.sentence.ko: missing"),
        (without(FINE, "hint.en"), "score.toml: SCORE_NEW.hint.en: missing"),
        (without(FINE, "hint"), "score.toml: SCORE_NEW.hint: missing"),
        (without(FINE, "fault"), "score.toml: SCORE_NEW.fault: missing"),
        (FINE.replace('"It is new."', '" "'), "score.toml: SCORE_NEW.sentence.en: empty"),
        (FINE.replace('"It is new."', "1"), "score.toml: SCORE_NEW.sentence.en: expected str"),
        (FINE.replace('"team"', '"nobody"'), "SCORE_NEW.fault: expected one of team, system"),
        (FINE + 'sentence.fr = "…"', "SCORE_NEW.sentence.fr: unknown key; expected one of: en, ko"),
        (FINE + 'stage = "load"', "score.toml: SCORE_NEW.stage: unknown key"),
        (FINE + FINE, r"score.toml: Cannot declare ('SCORE_NEW',) twice (at line"),
        (FINE.replace("SCORE_NEW", "RUN_OOM"), "score.toml: RUN_OOM: also in quality.toml"),
        (FINE.replace("]", ""), "score.toml: Expected ']'"),
    ],
)
def test_mistake_is_named_where_it_stands(texts, table, message):
    add(texts / "score.toml", table)
    with pytest.raises(CatalogueError, match=re.escape(message)):
        load(texts)


def test_every_stage_has_a_file_and_no_file_is_overlooked(texts):
    (texts / "wait.toml").rename(texts / "await.toml")
    with pytest.raises(CatalogueError, match=r"await\.toml: not the name of a stage"):
        load(texts)
    (texts / "await.toml").unlink()
    with pytest.raises(CatalogueError, match=r"wait\.toml: .*No such file"):
        load(texts)
