"""The doctor finds what is wrong and says what to do."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.utils import timezone, translation
from redis.exceptions import RedisError

from leaderboard import workers
from leaderboard.contests import loading
from leaderboard.models import Contest, Worker
from leaderboard.operations import doctor, sweeper
from tests import factories
from tests.leaderboard.batches import town
from tests.leaderboard.workers.test_registry import enlist

pytestmark = pytest.mark.django_db
HANGUL = re.compile("[가-힣]")


@pytest.fixture(autouse=True)
def _in_english():
    with translation.override("en"):
        yield


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


def test_without_its_tables_nothing_is_asked_of_them(monkeypatch):
    def pending(executor, targets):
        return [("leaderboard", "0001")]

    monkeypatch.setattr(doctor.MigrationExecutor, "migration_plan", pending)
    monkeypatch.setattr(doctor.Contest.objects, "in_force", pytest.fail)
    last = list(doctor.examine())[-1]
    assert (last.subject, last.level) == ("migrations", "error")
    assert "migrate" in last.hint


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
    with translation.override("ko"):
        korean = findings()
    ours = [korean[s] for s, f in found.items() if f.level != "ok" and "settings " not in s]
    assert all(HANGUL.search(f.text) and HANGUL.search(f.hint) for f in ours)


def test_the_command_speaks_like_the_commands_that_it_names(capsys):
    with translation.override("ko"), pytest.raises(SystemExit):
        call_command("doctor")
    assert not HANGUL.search(capsys.readouterr().out)


def test_contest_that_nobody_may_grade_is_an_error_that_says_where_to_look():
    contest = factories.contest()
    enlist(contest, sandbox="none")
    (finding,) = [f for f in doctor.examine() if f.subject == "contest demo" and f.level == "error"]
    assert finding.text == "the active worker cannot grade demo"
    assert "manage.py workers" in finding.hint
    enlist(contest, "gpu-2")
    assert not [f for f in doctor.examine() if f.subject == "contest demo" and f.level == "error"]


def test_drained_and_excluded_workers_are_warnings_with_their_reason():
    contest = factories.contest()
    workers.drain(enlist(contest, "tired"), "loud fan", by="mina")
    enlist(contest, "weak", sandbox="none")
    found = findings()
    assert (found["worker tired"].level, found["worker tired"].text) == (
        "warning",
        "drained: loud fan",
    )
    assert "sandbox is none" in found["worker weak"].text


def test_data_that_is_not_pinned_is_a_warning():
    factories.contest()
    factories.contest(slug="aimers8", base="aimers8")
    found = findings()
    assert "data of demo" not in found
    assert found["data of aimers8"].level == "warning"
    assert "KMMLU" in found["data of aimers8"].text
    assert "prefetch aimers8 --pin" in found["data of aimers8"].hint


def test_base_model_that_has_lost_its_headers_is_an_error(tmp_path):
    loading.load(str(town.file_of(tmp_path)))
    assert not [f for f in doctor.examine() if f.text.startswith("base_model")]
    (tmp_path / "base_model").unlink()
    found = {f.text.partition(":")[0]: f for f in doctor.examine()}["base_model.folder"]
    assert (found.level, found.subject) == ("error", "contest demo")
    assert "config.json" in found.text
    with translation.override("ko"):
        said = [f for f in doctor.examine() if f.text.startswith("base_model.folder")]
    assert [bool(HANGUL.search(f.text) and HANGUL.search(f.hint)) for f in said] == [True]


def test_phase_and_switch_that_disagree_are_seen():
    contest = factories.contest()
    assert "open is running until" in findings()["contest demo"].text
    Contest.objects.filter(pk=contest.pk).update(is_open=False)
    assert findings()["contest demo"].level == "warning"


def test_command_prints_json_and_fails_on_errors(capsys):
    with pytest.raises(SystemExit):
        call_command("doctor", "--json")
    assert {"level", "subject", "text", "hint"} == set(json.loads(capsys.readouterr().out)[0])


def test_a_dead_beat_is_an_error_and_a_living_one_is_not(monkeypatch):
    assert findings()["beat"].level == "warning"  # no bell has ever rung here
    sweeper.sweep()
    assert findings()["beat"].level == "ok"
    cache.set(sweeper.SWEPT, timezone.now() - timedelta(minutes=3))
    dead = findings()["beat"]
    assert (dead.level, dead.text) == ("error", "stopped: the sweeper last started 180 s ago")
    assert "beat" in dead.hint

    def away(*_, **__):
        raise RedisError("away")

    monkeypatch.setattr(cache, "get", away)
    monkeypatch.setattr(cache, "set", away)
    assert "beat" not in findings()  # the broker's own finding reports this
    assert sweeper.sweep(), "it sweeps without its note"


def test_no_mail_server_is_not_called_well(settings):
    settings.EMAIL_HOST = ""
    finding = findings()["mail"]
    assert (finding.level, "log" in finding.text) == ("warning", True)
    settings.EMAIL_HOST = "mail.example.org"
    assert findings()["mail"].level == "ok"  # the tests' mail backend opens without a server
