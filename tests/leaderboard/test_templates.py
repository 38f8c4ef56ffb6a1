"""What the content security policy forbids is not in the templates, and vendored files are what they say."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
INLINE = re.compile(
    r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|<script(?![^>]*\bsrc=)", re.IGNORECASE
)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: str(p.relative_to(ROOT / "templates")))
def test_nothing_is_inline(path):
    assert INLINE.findall(path.read_text("utf-8")) == []


@pytest.mark.parametrize("folder", ["leaderboard/static/vendor", "tests/browser/vendor"])
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
