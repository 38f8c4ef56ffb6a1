"""The Korean catalog is complete: nothing in the code is untranslated, nothing in the catalog is stale."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "leaderboard/locale/ko/LC_MESSAGES/django.po"
PLACEHOLDER = re.compile(r"%\(\w+\)\w*[sd]")


@pytest.fixture(scope="module")
def korean() -> polib.POFile:
    return polib.pofile(str(CATALOGUE))


@pytest.mark.skipif(not shutil.which("xgettext"), reason="GNU gettext is not installed")
def test_catalogue_holds_exactly_what_the_code_says(korean, tmp_path):
    for folder in ("templates", "leaderboard"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("locale", "static")
        )
    (tmp_path / "locale").mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(
        [sys.executable, "-m", "django", "makemessages", "--locale=ko", "--verbosity=0"],
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    found = polib.pofile(str(tmp_path / "locale/ko/LC_MESSAGES/django.po"))
    said = {(e.msgctxt, e.msgid, e.msgid_plural) for e in found}
    known = {(e.msgctxt, e.msgid, e.msgid_plural) for e in korean if not e.obsolete}
    assert said - known == set(), "not in the catalogue: run manage.py makemessages"
    assert known - said == set(), "in the catalogue but nowhere in the code"


def test_everything_is_translated(korean):
    assert [e.msgid for e in korean.untranslated_entries()] == []
    assert [e.msgid for e in korean.fuzzy_entries()] == []
    assert [e.msgid for e in korean.obsolete_entries()] == []


def test_placeholders_survive(korean):
    for entry in korean:
        given = set(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
        for text in [entry.msgstr, *entry.msgstr_plural.values()]:
            if text:
                assert set(PLACEHOLDER.findall(text)) == given, entry.msgid


def test_compiled_catalogue_is_current(korean):
    compiled = polib.mofile(str(CATALOGUE.with_suffix(".mo")))

    def texts(catalogue):
        return {(e.msgid, e.msgstr, tuple(e.msgstr_plural.values())) for e in catalogue if e.msgid}

    assert texts(compiled) == texts(korean), "compile it: manage.py compilemessages"
