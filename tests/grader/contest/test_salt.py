"""The salt of the split: drawn, kept secret, and in no digest or copy that participants see."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import contest as rules
from grader.contest import salt

DRAWS_SALTS = True  # see tests/conftest.py
GOOD = "9f86d0c1e2b7a4538d10f6e2c97b5a04"
DEMO = rules.find("demo")


def test_no_contest_of_the_project_has_a_salt():
    files = [*rules.CONTESTS.glob("*.toml"), *rules.CONTESTS.glob("*/contest.toml")]
    assert len(files) >= 7
    assert [file for file in files if rules.load(file).split_salt] == []


@pytest.mark.parametrize(
    ("used", "code"),
    [
        ("", "SPLIT_SALT_SHORT"),
        ("secret", "SPLIT_SALT_SHORT"),
        (GOOD[:31], "SPLIT_SALT_SHORT"),
        ("demo-2026", "SPLIT_SALT_SHIPPED"),
        ("replace-before-the-event", "SPLIT_SALT_SHIPPED"),
        ("correct horse battery staple forever", "SPLIT_SALT_GUESSABLE"),
        ("0" * 32, "SPLIT_SALT_GUESSABLE"),
        ("0123456789abcdef" * 2, "SPLIT_SALT_GUESSABLE"),
        ("deadbeef" * 4, "SPLIT_SALT_GUESSABLE"),
        (hashlib.md5(b"my-event-2026").hexdigest(), "SPLIT_SALT_GUESSABLE"),
        (hashlib.sha256(b"My-Event").hexdigest(), "SPLIT_SALT_GUESSABLE"),
        (hashlib.sha256(b"my-event2026").hexdigest()[:32], "SPLIT_SALT_GUESSABLE"),
        (hashlib.md5(b"demo-2026").hexdigest(), "SPLIT_SALT_GUESSABLE"),
        (GOOD, None),
        (GOOD.upper(), None),
        (GOOD * 3 + "1", "SPLIT_SALT_GUESSABLE"),
    ],
)
def test_what_can_be_known_or_guessed_is_no_salt(used, code):
    found = salt.weakness(used, "my-event", "My-Event")
    assert found == code or (len(used) > 90 and found is None)


def test_what_is_generated_is_a_salt_of_128_bits():
    made = {salt.generate() for _ in range(2000)}
    assert len(made) == 2000
    assert {len(one) for one in made} == {32}
    assert [one for one in made if salt.weakness(one)] == []


@given(
    st.sampled_from(['split_salt = "{}"', "split_salt='{}'  # secret", ' "split_salt" = "{}"']),
    st.text("0123456789abcdef", min_size=32, max_size=64),
    st.booleans(),
)
def test_the_public_text_and_its_digest_do_not_depend_on_the_salt(line, used, again):
    bare = DEMO.read_text("utf-8")
    source = bare.replace("[title]", f"{line.format(used)}\n[title]", 1)
    source += f"# {used}\n" if again else "# \n"
    made = rules.parse(source, Path())
    assert made.split_salt == used
    assert used not in salt.without(source)
    plain = rules.parse(bare + "# \n", Path())
    assert made.public_sha256 == plain.public_sha256
    assert made.grading_sha256 == plain.grading_sha256
    assert made.sha256 != plain.sha256


def test_a_file_without_a_salt_takes_the_one_it_is_given():
    bare = DEMO.read_text("utf-8")
    assert rules.parse(bare, Path(), GOOD).split_salt == GOOD
    own = bare.replace("[title]", f'split_salt = "{"7" * 32}"\n[title]', 1)
    assert rules.parse(own, Path(), GOOD).split_salt == "7" * 32


def test_changes_name_the_salt_but_do_not_tell_it():
    bare = DEMO.read_text("utf-8")
    before, after = rules.parse(bare, Path(), GOOD), rules.parse(bare, Path(), GOOD[::-1])
    (change,) = rules.changes(before, after)
    assert (change.key, change.effect) == ("split_salt", "rescore")
    assert GOOD not in repr(change) and GOOD[::-1] not in repr(change)
