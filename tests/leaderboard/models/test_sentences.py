"""Sentences in rows: stored as a code and parameters, rendered in the reader's language."""

from __future__ import annotations

import importlib

import pytest
from django.utils import translation

from grader.problems.catalogue import Problem
from leaderboard import lifecycle
from leaderboard.models import Delivery, Transition
from leaderboard.models.sentences import say
from tests import factories

conversion = importlib.import_module("leaderboard.migrations.0019_codes_of_sentences")
NOISY = ["SYS_NOISY", "SYS_DISK"]


@pytest.mark.parametrize(
    ("code", "parameters", "english", "korean"),
    [
        ("submitted", {}, "submitted", "제출됨"),
        ("attempt", {"n": 2}, "attempt 2", "2번째 시도"),
        (
            "attempt_failed",
            {"n": 2, "codes": NOISY},
            "attempt 2 failed: SYS_NOISY, SYS_DISK",
            "2번째 시도 실패: SYS_NOISY, SYS_DISK",
        ),
        (
            "batch",
            {"n": 3, "why": "the questions\nhad a 100 % typo"},
            "batch 3: the questions\nhad a 100 % typo",
            "재채점 작업 3: the questions\nhad a 100 % typo",
        ),
        (
            "problems",
            {"codes": ["LAYOUT_MISSING_CONFIG"]},
            "LAYOUT_MISSING_CONFIG",
            "LAYOUT_MISSING_CONFIG",
        ),
        ("scored", {"score": "-0.0313"}, "-0.0313", "-0.0313"),
        ("pooled", {"numbers": [7, 12]}, "pool of evaluations 7, 12", None),
        ("outdated", {"version": "demo@0123456789ab"}, None, None),
        ("text", {"text": "attempted murder"}, "attempted murder", "attempted murder"),
        ("", {}, "", ""),
    ],
)
def test_a_stored_reason_is_told_in_the_readers_language(code, parameters, english, korean):
    with translation.override("en"):
        said = say(Transition.Code, code, parameters)
    assert english is None or said == english
    assert conversion.parse(said, conversion.REASONS) == (code, parameters)  # older database
    with translation.override("ko"):
        told = say(Transition.Code, code, parameters)
    assert told == korean if korean is not None else told != said


@pytest.mark.parametrize(
    "text",
    ["attempt 2 failed: ", "rules", "attempt two", "submitted ", "SYS_NOISY, SYS_", "x" * 200],
)
def test_what_no_sentence_says_is_kept_word_for_word(text):
    assert conversion.parse(text, conversion.REASONS) == ("text", {"text": text})


SINCE = {"text", "put_back", "confirm"}  # what no older database can hold


@pytest.mark.parametrize(
    ("codes", "sentences"),
    [(Transition.Code, conversion.REASONS), (Delivery.Answer, conversion.ANSWERS)],
)
def test_the_conversion_knows_every_code_there_was(codes, sentences):
    with translation.override("en"):
        assert {one.value: str(one.label) for one in codes if one not in SINCE} == sentences


@pytest.mark.django_db
def test_lifecycle_stores_no_sentence():
    contest = factories.contest()
    evaluation = factories.checked(evaluation=factories.submission(contest=contest))
    job = lifecycle.claim(factories.worker(), {contest.slug: contest.version.sha256})
    assert job is not None
    lifecycle.fail(evaluation.pk, job.attempt, [Problem("SYS_NOISY")])
    lifecycle.cancel(evaluation.pk, by="mina")
    assert list(evaluation.transitions.values_list("code", "parameters")) == [
        ("submitted", {}),
        ("checked", {}),
        ("attempt", {"n": 1}),
        ("attempt_failed", {"n": 1, "codes": ["SYS_NOISY"]}),
        ("", {}),
    ]
