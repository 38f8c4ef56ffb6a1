"""The organizers' text is shown as intended, and nothing in it can run code or mislead."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import contest as rules
from leaderboard.contests import rules_text

TAGS = {
    "a", "blockquote", "br", "code", "div", "em", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


@pytest.mark.parametrize("name", ["demo", "aimers8"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_bundled_contests_have_words_in_both_languages(name, language):
    found = rules_text.of(rules.load(rules.find(name)), language)
    assert found.language == language
    assert "<h2>" in found.html and "<ol>" in found.html
    assert bool(re.search("[가-힣]", found.html)) == (language == "ko")


def test_a_missing_translation_is_told_in_the_other_language(tmp_path):
    source = rules.find("demo").read_text("utf-8")
    contest = rules.parse(source, tmp_path)
    assert rules_text.of(contest, "ko") is None
    (tmp_path / "rules.md").write_text("# Hello")
    assert rules_text.of(contest, "ko") == rules_text.Prose("<h2>Hello</h2>\n", "en")
    (tmp_path / "rules.ko.md").write_text("# 안녕")
    assert rules_text.of(contest, "ko").html == "<h2>안녕</h2>\n"


def test_a_changed_file_is_shown_changed(tmp_path):
    contest = rules.parse(rules.find("demo").read_text("utf-8"), tmp_path)
    file = tmp_path / "rules.md"
    file.write_text("one")
    assert "one" in rules_text.of(contest, "en").html
    file.write_text("two!")
    assert "two!" in rules_text.of(contest, "en").html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
        "![x](https://elsewhere.example/pixel.png)",
        "[x](data:text/html,<script>)",
    ],
)
def test_nothing_in_it_runs(text):
    made = rules_text.html(text)
    assert set(re.findall(r"<(\w+)", made)) <= TAGS
    assert 'href="javascript' not in made and 'href="data' not in made


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=300))
def test_only_harmless_tags_come_out(text):
    assert set(re.findall(r"<\s*(\w+)", rules_text.html(text))) <= TAGS


def test_tables_scroll_in_a_frame_of_their_own():
    made = rules_text.html("| a | b |\n| --- | --- |\n| 1 | 2 |")
    assert made.index('<div class="scroll">') < made.index("<table>") < made.index("</div>")
