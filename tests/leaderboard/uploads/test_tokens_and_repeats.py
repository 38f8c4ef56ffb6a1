"""Which tokens can make which upload requests, and what happens when a team sends the same again."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone

from leaderboard import uploads
from leaderboard.accounts.tokens import issue_token
from leaderboard.models import ApiToken, Submission, Upload
from tests import factories
from tests.leaderboard.uploads.tus import Tus, files

pytestmark = pytest.mark.django_db
DATA = b"PK\x05\x06" + bytes(range(256))


@pytest.fixture
def captain():
    captain = factories.user()
    factories.team(contest=factories.contest(), captain=captain)
    return captain


@pytest.fixture
def tus(client, captain):
    return Tus(client, captain)


CALLS = {
    "create": lambda tus: tus.create(9),
    "head": lambda tus: tus.head(),
    "patch": lambda tus: tus.patch(0, b"x" * 9),
    "enter": lambda tus: tus.enter(),
    "delete": lambda tus: tus.delete(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("read only", 403, "TOKEN_SCOPE"),
        ("expired", 401, "TOKEN_EXPIRED"),
        ("revoked", 401, "TOKEN_REVOKED"),
        ("account closed", 401, "UNAUTHENTICATED"),
    ],
)
def test_every_call_asks_for_a_living_token_with_the_scope(
    client, captain, tus, call, case, status, code
):
    tus.create(9)
    scopes = ["read"] if case == "read only" else ApiToken.Scope.values
    token = issue_token(captain, "other", scopes=scopes)
    row = ApiToken.objects.filter(digest=ApiToken.digest_of(token))
    if case == "expired":
        row.update(expires=timezone.now() - timedelta(seconds=1))
    elif case == "revoked":
        row.update(revoked=timezone.now())
    elif case == "account closed":
        captain.is_active = False
        captain.save(update_fields=["is_active"])
    tus.headers["Authorization"] = f"Bearer {token}"
    answer = CALLS[call](tus)
    assert answer.status_code == status
    if call != "head":
        assert answer.json()["code"] == code
    assert [row.offset_bytes for row in Upload.objects.all()] == [0]


def test_a_token_that_runs_out_in_the_middle_stops_the_upload_and_loses_nothing(captain, tus):
    tus.create(len(DATA))
    tus.patch(0, DATA[:100])
    tokens = ApiToken.objects.filter(user=captain)
    tokens.update(expires=timezone.now() - timedelta(seconds=1))
    assert tus.patch(100, DATA[100:]).status_code == 401
    tokens.update(expires=None)
    assert tus.head()["Upload-Offset"] == "100"
    assert tus.patch(100, DATA[100:]).status_code == 204
    assert Submission.objects.count() == 1


def test_an_announced_digest_is_answered_before_the_first_byte(tus):
    tus.create(len(DATA), body=DATA)
    first = Submission.objects.get()
    sha256 = hashlib.sha256(DATA).hexdigest()
    answer = tus.create(len(DATA), sha256=sha256)
    assert (answer.status_code, answer.json()["code"]) == (409, "UPLOAD_SAME")
    assert answer.json()["submission"] == first.pk
    assert tus.create(len(DATA), sha256=sha256, again="1").status_code == 201
    assert tus.patch(0, DATA).status_code == 204
    assert Submission.objects.count() == 2


def test_without_a_digest_it_is_found_at_the_end_kept_and_measured_on_request(tus, settings):
    tus.create(len(DATA), body=DATA)
    first, kept = Submission.objects.get(), files(settings)
    tus.create(len(DATA))
    last = tus.patch(0, DATA)  # the bytes are stored, so this is not an error
    assert (last.status_code, last["Upload-Offset"]) == (204, str(len(DATA)))
    assert "Content-Location" not in last
    answer = tus.enter()
    assert (answer.status_code, answer.json()["submission"]) == (409, first.pk)
    uploads.finish_stranded()
    assert Submission.objects.count() == 1 and len(files(settings)) == len(kept) + 1
    again = tus.client.post(f"{tus.url}/submission?again=1", headers=tus.headers)
    assert again.status_code == 201 and Submission.objects.count() == 2


def test_the_page_offers_both_for_an_upload_that_is_kept(client, captain, tus):
    tus.create(len(DATA), body=DATA)
    first = Submission.objects.get()
    tus.create(len(DATA), body=DATA)
    key = Upload.objects.get(submission=None).key
    client.force_login(captain)
    page = client.post(f"/contests/demo/submit/{key}/enter/")
    text = page.content.decode()
    assert page.status_code == 409 and f'href="{first.get_absolute_url()}"' in text
    assert 'name="again" value="1"' in text
    assert client.post(f"/contests/demo/submit/{key}/enter/", {"again": "1"}).status_code == 302
    assert Submission.objects.count() == 2
