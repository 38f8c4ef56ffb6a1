"""Duplicate checkpoints: the team is asked, no quota is used, and other teams learn nothing."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import F

from leaderboard.accounts import tokens
from leaderboard.core import errors
from leaderboard.models import ContestVersion, Evaluation, Submission
from leaderboard.operations import sweeper
from leaderboard.submissions import entering, preflight, quota
from tests import factories, hub_server

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


@pytest.fixture
def captain(contest):
    user = factories.user()
    factories.team(contest=contest, captain=user)
    return user


def packed(contest, order=1):
    """The demo's base model as a tar; another order of the files is another archive of the same content."""
    base, target = contest.rules.base_folder, io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name in ["config.json", "model.safetensors"][::order]:
            tar.add(base / name, name)
    return target.getvalue()


def enter(contest, user, content, **words):
    return factories.entered(contest=contest, user=user, content=content, name="model.tar", **words)


def checked(evaluation):
    preflight.check(evaluation.pk)
    evaluation.refresh_from_db()
    return evaluation


def call(client, user, path, **body):
    headers = {"Authorization": f"Bearer {tokens.issue_token(user, 'cli')}"}
    return client.post(path, body, headers=headers)


def used(user):
    return quota.of(user.memberships.get().team).used


def test_the_same_archive_is_answered_with_the_number_and_costs_nothing(client, contest, captain):
    first = enter(contest, captain, b"archive")
    path = "/api/contests/demo/submissions"
    answer = call(client, captain, path, archive=SimpleUploadedFile("other.zip", b"archive"))
    assert answer.status_code == 409
    body = answer.json()
    assert (body["code"], body["submission"]) == ("UPLOAD_SAME", first.submission_id)
    assert f"#{first.submission_id}" in body["message"] and "--again" in body["hint"]
    assert (used(captain), Submission.objects.count()) == (1, 1)
    again = call(client, captain, path, archive=SimpleUploadedFile("m", b"archive"), again="true")
    assert again.status_code == 201 and used(captain) == 2


def test_the_answer_comes_also_when_the_day_is_used_up(contest, captain):
    content = [bytes([n]) for n in range(contest.rules.limits.submissions_per_day)]
    for each in content:
        enter(contest, captain, each)
    with pytest.raises(errors.Refused, match="UPLOAD_SAME"):
        enter(contest, captain, content[0])
    with pytest.raises(errors.Refused) as refused:
        enter(contest, captain, content[0], again=True)
    assert refused.value.code == "UPLOAD_QUOTA"


def test_another_team_learns_nothing(client, contest, captain):
    enter(contest, captain, packed(contest))
    stranger = factories.user()
    factories.team(contest=contest, captain=stranger)
    assert checked(enter(contest, stranger, packed(contest))).is_checked


@pytest.mark.parametrize("ended", ["rejected", "failed", "cancelled"])
def test_what_has_no_result_may_be_sent_once_more(contest, captain, ended):
    first = enter(contest, captain, b"archive")
    Evaluation.objects.filter(pk=first.pk).update(status=ended)
    assert enter(contest, captain, b"archive").status == "queued"


def test_measured_under_other_rules_is_not_the_same(contest, captain):
    enter(contest, captain, b"archive")
    other = ContestVersion.objects.create(
        contest=contest, sha256="1" * 64, source=contest.version.source,
        folder=contest.version.folder, grading_sha256="2" * 64,
    )  # fmt: skip
    contest.version = other
    contest.save(update_fields=["version"])
    assert enter(contest, captain, b"archive").status == "queued"


@pytest.fixture
def held(contest, captain):
    """A second archive of the same content, detected by preflight."""
    first = checked(enter(contest, captain, packed(contest)))
    second = checked(enter(contest, captain, packed(contest, order=-1)))
    assert (first.status, first.is_checked) == ("queued", True)
    return second


def test_the_same_content_in_another_archive_is_held_and_asked_about(client, captain, held):
    first = Submission.objects.order_by("pk")[0]
    assert (held.status, held.problems[0]["code"]) == ("cancelled", "UPLOAD_SAME")
    assert default_storage.exists(held.submission.archive)
    assert used(captain) == 1
    client.force_login(captain)
    text = client.get(held.submission.get_absolute_url()).content.decode()
    assert f'href="{first.get_absolute_url()}"' in text
    assert f'action="/submissions/{held.submission_id}/again/"' in text
    document = call_get(client, captain, f"/api/submissions/{held.submission_id}")
    assert document["problems"][0]["detail"] == f"#{first.pk}"


def call_get(client, user, path):
    headers = {"Authorization": f"Bearer {tokens.issue_token(user, 'cli')}"}
    return client.get(path, headers=headers).json()


@pytest.mark.parametrize("door", ["page", "api"])
def test_measuring_it_again_is_a_new_entry_with_the_same_archive(client, captain, held, door):
    if door == "page":
        client.force_login(captain)
        client.post(f"/submissions/{held.submission_id}/again/")
    else:
        answer = call(client, captain, f"/api/submissions/{held.submission_id}/again")
        assert answer.status_code == 201
    new = Evaluation.objects.latest("pk")
    assert new.submission.archive == held.submission.archive and new.submission.again
    assert checked(new).is_checked and used(captain) == 2
    second = call(client, captain, f"/api/submissions/{held.submission_id}/again")
    assert (second.status_code, second.json()["code"]) == (410, "UPLOAD_EXPIRED")


def test_without_quota_it_stays_held(client, contest, captain, held):
    team = captain.memberships.get().team
    while quota.of(team).is_open:
        factories.submission(contest=contest, team=team)
    answer = call(client, captain, f"/api/submissions/{held.submission_id}/again")
    assert (answer.status_code, answer.json()["code"]) == (429, "UPLOAD_QUOTA")
    held.refresh_from_db()
    assert held.held_until is not None


def test_an_archive_that_nobody_wants_measured_leaves_the_disk(captain, held):
    Evaluation.objects.filter(pk=held.pk).update(held_until=F("held_until") - timedelta(days=2))
    sweeper.sweep()
    held.refresh_from_db()
    assert held.held_until is None and not default_storage.exists(held.submission.archive)
    with pytest.raises(errors.Refused):
        entering.measure_again(held.submission, captain)


def test_a_commit_and_an_archive_of_the_same_content(
    client, contest, captain, settings, tmp_path, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    shutil.copytree(contest.rules.base_folder, tmp_path / "published")
    with hub_server.serve() as hub:
        settings.HF_ENDPOINT = hub.url
        hub.add("team/model", tmp_path / "published")
        client.force_login(captain)
        client.post("/contests/demo/submit/hub/", {"repo": "team/model"})
        first = Evaluation.objects.get()
        page = client.post("/contests/demo/submit/hub/", {"repo": "team/model"})
        text = page.content.decode()
        assert page.status_code == 409 and f'href="/submissions/{first.submission_id}/"' in text
        assert 'name="again"' in text
        checked(first)
        assert checked(enter(contest, captain, packed(contest))).status == "cancelled"
        fields = {"repo": "team/model", "again": "on"}
        assert client.post("/contests/demo/submit/hub/", fields).status_code == 302


def test_strangers_and_staff_do_not_measure_again_for_a_team(client, held):
    for person, status in ((factories.user(), 404), (factories.user(is_staff=True), 403)):
        answer = call(client, person, f"/api/submissions/{held.submission_id}/again")
        assert answer.status_code == status
        json.loads(answer.content)
