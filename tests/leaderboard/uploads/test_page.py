"""Unfinished uploads on the submit page: resume, submit, discard; only one's own."""

from __future__ import annotations

import pytest

from leaderboard import uploads
from leaderboard.models import Contest, Submission, Upload
from leaderboard.storage import staging
from leaderboard.templatetags.numbers import THIN
from tests import factories
from tests.leaderboard.uploads.tus import files

pytestmark = pytest.mark.django_db


@pytest.fixture
def captain():
    captain = factories.user()
    factories.team(contest=factories.contest(), captain=captain)
    return captain


@pytest.fixture
def row(captain):
    contest = captain.memberships.get().contest
    row = uploads.create(
        contest, captain, uploads.UploadRequest(size_bytes=10, name="model <v1>.zip")
    )
    staging.write(row.key, 0, b"01234")
    Upload.objects.update(offset_bytes=5)
    return row


def page(client, user):
    client.force_login(user)
    response = client.get("/contests/demo/submit/", headers={"Accept-Language": "en"})
    return response.content.decode()


def test_half_an_upload_is_shown_to_its_owner(client, captain, row):
    text = page(client, captain)

    assert "5 B of 10 B uploaded" in text.replace(THIN, " ")
    assert "model &lt;v1&gt;.zip" in text
    mate = factories.user()
    captain.memberships.get().team.memberships.create(contest=row.contest, user=mate)
    assert "Unfinished" not in page(client, mate)


def test_discard(client, captain, row, settings):
    client.force_login(captain)
    assert client.post(f"/contests/demo/submit/{row.key}/discard/").status_code == 302
    assert files(settings) == []
    assert not Upload.objects.exists()


def test_a_whole_upload_that_was_refused_can_be_submitted_later(client, captain, row):
    staging.write(row.key, 5, b"56789")
    Upload.objects.update(offset_bytes=10)
    Contest.objects.update(is_open=False)
    client.force_login(captain)
    response = client.post(f"/contests/demo/submit/{row.key}/enter/")
    assert response.status_code == 403
    assert "UPLOAD_CLOSED" in response.content.decode()
    Contest.objects.update(is_open=True)
    assert "Submit now" in page(client, captain)
    response = client.post(f"/contests/demo/submit/{row.key}/enter/")
    assert response["Location"] == Submission.objects.get().get_absolute_url()


@pytest.mark.parametrize("verb", ["enter", "discard"])
def test_others_find_nothing(client, row, verb):
    url = f"/contests/demo/submit/{row.key}/{verb}/"
    assert client.post(url).status_code == 302  # to the login page
    for stranger in (factories.user(), factories.user(is_staff=True)):
        client.force_login(stranger)
        assert client.post(url).status_code == 404
    assert Upload.objects.exists()
