"""The template filters, by example."""

from __future__ import annotations

import pytest
from django.utils import translation

from leaderboard.templatetags import numbers


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (999_600, "1.00 MB"), (5_150_000, "5.15 MB"),
     (13_900_000, "13.9 MB"), (2_558_821_288, "2.56 GB"), (None, "–")],
)  # fmt: skip
def test_filesize(size_bytes, shown):
    assert numbers.filesize_si(size_bytes).replace("\xa0", " ") == shown


@pytest.mark.parametrize(
    ("change", "digits", "shown"),
    [(-0.62, 0, "−62 %"), (0.034, 1, "+3.4 %"), (0.0, 0, "±0 %"), (-0.001, 0, "±0 %"), (None, 0, "–")],
)  # fmt: skip
def test_signed_percent(change, digits, shown):
    assert numbers.signed_percent(change, digits).replace("\xa0", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.63412, "0.6341"), (-0.0, "0.0000"), (-1.5, "−1.5000"), (None, "–")]
)
def test_score(value, shown):
    assert numbers.score(value) == shown


@pytest.mark.parametrize(
    ("seconds", "english", "korean"),
    [(0.04, "0.0 s", "0.0초"), (38.2, "38 s", "38초"), (96.5, "1 min 36 s", "1분 36초"),
     (59.96, "1 min 00 s", "1분 00초"), (7260, "2 h 01 min", "2시간 01분"), (None, "", "")],
)  # fmt: skip
def test_duration(seconds, english, korean):
    with translation.override("en"):
        assert numbers.duration(seconds) == english
    with translation.override("ko"):
        assert numbers.duration(seconds) == korean


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "1 s"), (3.6, "4 s"), (59.4, "59 s"), (61, "1 min"), (5340, "89 min"), (9000, "2 h")],
)
def test_a_forecast_is_no_more_precise_than_it_is_sure(seconds, shown):
    with translation.override("en"):
        assert numbers.about(seconds) == shown


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("W4A16 g128", "4-bit weights, 16-bit activations, one scale per 128 weights"),
        ("W8A8", "8-bit weights, 8-bit activations"),
        ("FP8 dynamic", "8-bit floating point"),
        ("bf16", "not quantized"),
        ("something new", ""),
    ],
)
def test_scheme_words(scheme, words):
    with translation.override("en"):
        assert numbers.scheme_words(scheme) == words
