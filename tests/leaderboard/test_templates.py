"""Templates hold nothing that the content security policy forbids, and vendored files are unmodified."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
MAILS = sorted((ROOT / "templates").rglob("*.txt"))
STATIC = ROOT / "leaderboard" / "static"
OURS = sorted(
    str(p.relative_to(STATIC))
    for p in STATIC.rglob("*")
    if p.suffix in (".css", ".js", ".svg") and "vendor" not in p.parts
)
MAX_LINE = 160
INLINE = re.compile(
    r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|<script(?![^>]*\bsrc=)", re.IGNORECASE
)


def test_no_line_is_longer_than_160_characters():
    """``make fmt`` wraps templates at 140 where it can."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*TEMPLATES, *MAILS, *(STATIC / name for name in OURS)]
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if len(line) > MAX_LINE and path.suffix != ".svg"
    ]
    assert found == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: str(p.relative_to(ROOT / "templates")))
def test_nothing_is_inline(path):
    assert INLINE.findall(path.read_text("utf-8")) == []


def test_every_partial_is_included_somewhere():
    """Referenced by name, in another template or in the code that renders it."""
    code = [path for path in (ROOT / "leaderboard").rglob("*.py") if "migrations" not in path.parts]
    named = "".join(path.read_text("utf-8") for path in [*TEMPLATES, *code])
    partials = [path.name for path in TEMPLATES if path.name.startswith("_")]
    assert [name for name in partials if name not in named] == []
    assert "_ranking.html" in partials


@pytest.fixture(scope="module")
def asked_for() -> set[str]:
    """Static files that a page or another script references by name."""
    templates = "".join(path.read_text("utf-8") for path in TEMPLATES)
    scripts = "".join((STATIC / name).read_text("utf-8") for name in OURS if name.endswith(".js"))
    imported = re.findall(r'from "\./([\w-]+\.js)"', scripts)
    return set(re.findall(r"{% static '([^']+)' %}", templates)) | {
        f"leaderboard/js/{name}" for name in imported
    }


def test_every_static_file_asked_for_exists(asked_for):
    assert [name for name in sorted(asked_for) if finders.find(name) is None] == []


def test_every_static_file_of_ours_is_asked_for(asked_for):
    assert [name for name in OURS if name not in asked_for] == []


def test_static_files_stand_in_the_name_space_of_the_app():
    assert [p.name for p in STATIC.iterdir()] == ["leaderboard"]


@pytest.mark.parametrize(
    "folder", ["leaderboard/static/leaderboard/vendor", "tests/browser/vendor"]
)
def test_vendored_files_are_the_ones_listed(folder):
    rows = re.findall(
        r"^\| `([^`]+)` .* `([0-9a-f]{64})` \|$", (ROOT / folder / "README.md").read_text(), re.M
    )
    scripts = {
        str(p.relative_to(ROOT / folder)) for p in (ROOT / folder).rglob("*.js") if p.is_file()
    }
    assert {name for name, _ in rows} == scripts
    for name, digest in rows:
        file = ROOT / folder / name
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
        assert any(file.parent.glob("LICENSE*")), f"{name} has lost its licence"
