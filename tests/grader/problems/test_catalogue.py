"""The catalogue: complete, in two languages, in families."""

from __future__ import annotations

import re

import pytest

from grader.problems.catalogue import CATALOGUE, Fault

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
    "SCORE",
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


def test_our_faults_are_not_the_teams() -> None:
    for code, kind in CATALOGUE.items():
        assert (kind.fault is Fault.SYSTEM) == (
            code.startswith("SYS_") or code in {"SCORE_INVALID", "SCORE_REFERENCE_MISSING"}
        )
