"""The doctor sees what is wrong and says what to do."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from leaderboard import doctor
from leaderboard.models import Worker
from tests import factories

pytestmark = pytest.mark.django_db


def findings():
    return {finding.subject: finding for finding in doctor.examine()}


def test_healthy_site_has_no_error_once_a_contest_and_a_worker_are_there(settings):
    settings.HOME.mkdir(exist_ok=True)
    factories.contest()
    factories.worker()
    levels = {subject: finding.level for subject, finding in findings().items()}
    assert "error" not in levels.values()
    assert (
        levels["database"] == levels["migrations"] == levels["broker"] == levels["storage"] == "ok"
    )


def test_everything_that_is_not_ok_has_a_hint(settings):
    settings.DEBUG = True
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    settings.DISK_RESERVE_BYTES = 1 << 60
    Worker.issue("pbw", name="silent")
    found = findings()
    assert {s for s, f in found.items() if f.level != "ok"} >= {
        "broker", "disk", "contests", "worker silent", "settings",
    }  # fmt: skip
    assert all(finding.hint for finding in found.values() if finding.level != "ok")


def test_command_prints_json_and_fails_on_errors(capsys):
    with pytest.raises(SystemExit):
        call_command("doctor", "--json")
    assert {"level", "subject", "text", "hint"} == set(json.loads(capsys.readouterr().out)[0])
