"""Commands on a database that was not migrated, or was created without UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest


@pytest.fixture
def bare():
    """URL of an empty database in SQL_ASCII."""
    url = os.environ["DATABASE_URL"]
    name = f"bare_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        options = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        connection.execute(f"CREATE DATABASE {name} {options}")
        yield f"{url.rpartition('/')[0]}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def django(url: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
    }
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["loadcontest demo", "addworker box", "workers"])
def test_a_command_says_that_there_are_no_tables(bare, command):
    done = django(bare, "-m", "django", *command.split())
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "CommandError: the database has no tables; run manage.py migrate first"
    )
    assert "Traceback" not in done.stderr


def test_doctor_sees_an_encoding_that_holds_no_korean(bare):
    code = """
import django
django.setup()
from leaderboard.operations import doctor
print([(f.level, f.subject, "SQL_ASCII" in f.text, bool(f.hint)) for f in doctor.database()][0])
"""
    done = django(bare, "-c", code)
    assert done.stdout.strip() == "('error', 'database', True, True)", done.stderr[-2000:]
