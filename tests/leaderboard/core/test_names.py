"""Names: what cannot be seen is refused, and so is what looks like another name."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.core import names
from leaderboard.submissions.entering import display_name

INVISIBLE = [
    "a\u200bb", "a\u202eb", "a\u2066b\u2069", "a\ufeffb", "a\u00adb", "a\u2060b", "a\u061cb",
    "a\x00b", "a\x1bb", "\ue000", "\U0001d159",
    "\u3164", "\uffa0", "\u115f", "\u2800", "a\u2800b", "a\u034fb", "\u17b4a", "a\U000e0041",
    "", "  ", "\u3000", "\u0301a", "a\u0301\u0300\u0302\u0303\u0304\u0330", "a\u20dd\u20de\u20df\u20e0",
]  # fmt: skip


@pytest.mark.parametrize("name", INVISIBLE)
def test_what_cannot_be_seen_is_refused(name):
    with pytest.raises(names.BadName):
        names.clean(name)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("한강", "한강"),
        (unicodedata.normalize("NFD", "한강"), "한강"),
        ("ﾊﾝｶﾞﾝ", "ハンガン"),
        (" Team   Ⅻ ", "Team XII"),
        ("I ❤\ufe0f GPUs 🚀", "I ❤ GPUs 🚀"),
        ("Nguyễn", "Nguyễn"),
        ("שָׁלוֹם", unicodedata.normalize("NFKC", "שָׁלוֹם")),
        ("100 %", "100 %"),
        ("¬_¬", "¬_¬"),
    ],
)
def test_what_can_be_seen_is_a_name(name, stored):
    assert names.clean(name) == stored


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("paypal", "раураl"),  # Cyrillic
        ("Hangang", "HANGANG"),
        ("modem", "modern"),
        ("Team 1", "Team l"),
        ("O2", "02"),
        ("ILL", "lll"),
        ("α", "a"),
        ("Ａ", "A"),
        ("한강", "한\u3164강"),
        ("Straße", "STRASSE"),
    ],
)
def test_look_alikes_are_found_both_ways(one, other):
    assert names.alike(one, ["nobody", other]) == other
    assert names.alike(other, ["nobody", one]) == one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ali", "All"),
        ("Team 1", "Team 2"),
        ("한강", "항강"),
        ("person11", "person12"),
        ("a b", "ab"),
    ],
)
def test_names_that_differ_stay_apart(one, other):
    assert names.alike(one, [other]) is None


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXT)
def test_a_clean_name_is_clean_visible_and_like_itself(text):
    try:
        name = names.clean(text)
    except names.BadName:
        return
    assert names.clean(name) == name
    assert name.isprintable() and name.strip() == name and name
    assert unicodedata.is_normalized("NFKC", name)
    assert names.alike(name, [name]) == name


@given(TEXT, st.sampled_from("\u200b\u202e\u2066\u3164\u2800\u00ad\ufeff\U000e0020"), st.data())
def test_no_invisible_character_hides_anywhere(text, hidden, data):
    at = data.draw(st.integers(0, len(text)))
    with pytest.raises(names.BadName):
        names.clean(f"a{text[:at]}{hidden}{text[at:]}z")
    assert hidden not in names.shown(text[:at] + hidden + text[at:])


@given(st.text(st.sampled_from("aceopxyABEHOT"), min_size=1, max_size=20), st.data())
def test_swapping_letters_for_their_doubles_gains_no_name(text, data):
    doubles = dict(zip("aceopxyABEHOT", "асеорхуАВЕНОТ", strict=True))
    chosen = data.draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    other = "".join(doubles[c] if swap else c for c, swap in zip(text, chosen, strict=True))
    assert names.alike(other, [text]) == text


@given(TEXT)
def test_a_file_name_has_no_path_and_nothing_hidden(text):
    shown = display_name(text)
    assert shown and shown.isprintable() and "/" not in shown and "\\" not in shown
    if text.isascii() and text.isalnum():
        assert shown == text


def test_a_file_name_cannot_turn_its_ending_around():
    assert display_name("gpj.\u202e\u2800x/модель\u3164.zip") == "модель.zip"
    assert display_name("a\uff0fb.zip") == "b.zip", "a full-width slash is a slash, too"
    assert display_name("\u3164") == "archive"
