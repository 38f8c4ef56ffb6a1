"""Check only: the same findings as an entry, without quota, and nothing stays."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import F

from leaderboard import uploads
from leaderboard.accounts import tokens
from leaderboard.core import doorbell
from leaderboard.models import Check, Contest, Submission, Upload
from leaderboard.operations import sweeper
from leaderboard.submissions import admission, dry_run, preflight, quota
from tests import factories, hub_server
from tests.leaderboard.uploads.tus import Tus, files

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def captain(contest):
    user = factories.user()
    factories.team(contest=contest, captain=user)
    return user


@pytest.fixture
def rung(monkeypatch):
    """Keys that were queued on the site worker."""
    keys = []
    monkeypatch.setattr(doorbell, "enqueue_dry_run", keys.append)
    return keys


def packed(contest, **replaced):
    base, target = contest.rules.base_folder, io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name in ("config.json", "model.safetensors"):
            content = replaced.get(name.partition(".")[0], (base / name).read_bytes())
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def read(client, user, key):
    headers = {"Authorization": f"Bearer {tokens.issue_token(user, 'cli')}"}
    return client.get(f"/api/checks/{key}", headers=headers)


def test_an_upload_that_is_only_checked_becomes_no_entry(client, captain, contest, settings):
    tus = Tus(client, captain)
    content = packed(contest)
    tus.create(len(content), only_check="1", filename="w4a16.tar")
    last = tus.patch(0, content)
    row = Check.objects.get()
    assert last["Content-Location"].endswith(row.get_absolute_url())
    first = tus.enter()
    assert (first.status_code, first.json()["state"]) == (201, "waiting")
    assert files(settings) == [f"incoming/{row.key}.part"]
    uploads.remove_expired()  # its bytes are neither an unfinished upload nor orphaned
    dry_run.run(row.key)
    dry_run.run(row.key)  # a second bell changes nothing
    found = tus.enter().json()
    assert (found["state"], found["scheme"], found["problems"]) == ("passed", "bf16", [])
    assert found["content_sha256"]
    assert files(settings) == [] and not Submission.objects.exists() and not Upload.objects.exists()
    assert quota.of(captain.memberships.get().team).used == 0


def test_findings_are_those_of_preflight(client, captain, contest):
    content = packed(contest, config=b"{")
    client.force_login(captain)
    answer = client.post(
        "/contests/demo/submit/",
        {"archive": SimpleUploadedFile("m.tar", content), "only_check": "1"},
    )
    row = Check.objects.get()
    assert answer.url == row.get_absolute_url()
    assert "hx-get" in client.get(answer.url).content.decode()
    dry_run.run(row.key)
    text = client.get(answer.url).content.decode()
    assert "JSON_SYNTAX" in text and "hx-get" not in text
    document = read(client, captain, row.key).json()
    assert (document["state"], document["problems"][0]["code"]) == ("refused", "JSON_SYNTAX")
    assert document["problems"][0]["hint"]


def test_a_used_up_day_does_not_matter(client, captain, contest):
    team = captain.memberships.get().team
    while quota.of(team).is_open:
        factories.submission(contest=contest, team=team)
    assert Tus(client, captain).create(9).status_code == 429
    assert Tus(client, captain).create(9, only_check="1").status_code == 201


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("often", 429, "UPLOAD_CHECKS"),
        ("many waiting", 429, "UPLOAD_CHECKS"),
        ("no team", 403, "UPLOAD_NO_TEAM"),
        ("closed", 403, "UPLOAD_CLOSED"),
        ("too large", 413, "UPLOAD_TOO_LARGE"),
    ],
)
def test_refused_before_the_first_byte(client, captain, contest, settings, case, status, code):
    size, person = 9, captain
    if case == "often":
        settings.CHECKS_PER_HOUR = 1
        assert Tus(client, captain).create(9, only_check="1").status_code == 201
    elif case == "many waiting":
        for _ in range(admission.MOST_WAITING_CHECKS):
            dry_run.waiting(user=captain, contest=contest, name="m.tar", size_bytes=1)
    elif case == "no team":
        person = factories.user()
    elif case == "closed":
        Contest.objects.update(is_open=False)
    else:
        size = contest.rules.limits.archive_bytes + 1
    answer = Tus(client, person).create(size, only_check="1")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_repository_is_checked_from_far(
    client, captain, contest, settings, tmp_path, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    shutil.copytree(contest.rules.base_folder, tmp_path / "published")
    headers = {"Authorization": f"Bearer {tokens.issue_token(captain, 'cli')}"}
    with hub_server.serve() as hub:
        settings.HF_ENDPOINT = hub.url
        hub.add("team/model", tmp_path / "published")
        body = json.dumps({"repo": "team/model"})
        path = "/api/contests/demo/checks"
        answer = client.post(path, body, "application/json", headers=headers)
        assert answer.status_code == 201
        dry_run.run(answer.json()["key"])
        assert read(client, captain, answer.json()["key"]).json()["state"] == "passed"
        client.force_login(captain)
        page = client.post("/contests/demo/submit/hub/", {"repo": "team/model", "only_check": "1"})
        assert page.status_code == 302 and "/checks/" in page.url
    assert not Submission.objects.exists()


def test_nobody_else_reads_it(client, captain, contest):
    row = dry_run.waiting(user=captain, contest=contest, name="m.tar", size_bytes=1)
    mate = factories.user()
    captain.memberships.get().team.memberships.create(contest=contest, user=mate)
    for person in (mate, factories.user(), factories.user(is_staff=True)):
        assert read(client, person, row.key).status_code == 404
        client.force_login(person)
        assert client.get(row.get_absolute_url()).status_code == 404
    client.force_login(captain)
    assert client.get(row.get_absolute_url()).status_code == 200


def test_lost_bells_are_rung_again_and_what_breaks_every_time_is_given_up(
    captain, contest, rung, monkeypatch
):
    row = dry_run.waiting(user=captain, contest=contest, name="m.tar", size_bytes=1)
    monkeypatch.setattr(preflight, "inspect", lambda *_: 1 / 0)
    sweeper.sweep()
    assert rung == []  # its bell has only just been rung
    Check.objects.update(created=F("created") - timedelta(minutes=1))
    for tried in range(1, dry_run.MAX_TRIES + 1):
        sweeper.sweep()
        assert rung == [row.key] * tried
        with pytest.raises(ZeroDivisionError):
            dry_run.run(row.key)
        Check.objects.update(tried=F("tried") - dry_run.AGAIN_AFTER - timedelta(seconds=1))
    sweeper.sweep()
    row.refresh_from_db()
    assert [p["code"] for p in row.problems] == ["SYS_CHECK_CRASHED"] and row.finished


def test_results_are_forgotten_after_a_week(captain, contest):
    row = dry_run.waiting(user=captain, contest=contest, name="m.tar", size_bytes=1)
    Check.objects.update(finished=F("created"), created=F("created") - timedelta(days=8))
    sweeper.sweep()
    assert not Check.objects.filter(pk=row.key).exists()
