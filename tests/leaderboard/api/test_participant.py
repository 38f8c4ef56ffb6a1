"""What the CLI does over HTTP, as owner, teammate, stranger and anonymous."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from leaderboard.accounts import tokens
from leaderboard.models import Contest, Submission
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def contest():
    return factories.contest()


def bearer(user):
    return {"Authorization": f"Bearer {tokens.issue_token(user, 'test')}"}


def archive(content=b"not really a checkpoint", name="model.zip"):
    return SimpleUploadedFile(name, content)


def post(client, contest, user, **fields):
    fields.setdefault("archive", archive())
    headers = bearer(user) if user else {}
    return client.post(f"/api/contests/{contest.slug}/submissions", fields, headers=headers)


def stored(settings):
    folder = settings.HOME / "uploads" / "archives"
    return sorted(folder.iterdir()) if folder.exists() else []


def test_submit_answers_201_with_where_to_look(client, contest, settings):
    captain = factories.user()
    factories.team(contest=contest, captain=captain, name="Hangang")
    response = post(client, contest, captain, note="first try")
    assert response.status_code == 201
    body = response.json()
    assert (body["status"], body["stage"], body["team"]) == ("queued", "check", "Hangang")
    assert not {"position", "wait_s"} & set(body), (
        "it is not in the queue before it has been checked"
    )
    row = Submission.objects.get(pk=body["id"])
    assert row.archive_name == "model.zip"
    assert row.archive not in row.archive_name
    assert [path.name for path in stored(settings)] == [row.archive.rpartition("/")[2]]


def test_file_name_is_only_ever_text(client, contest, settings):
    captain = factories.user()
    factories.team(contest=contest, captain=captain)
    body = post(client, contest, captain, archive=archive(name="a\u202egnp.exe")).json()
    assert body["archive_name"] == "agnp.exe"
    assert all(path.name.isalnum() for path in stored(settings))


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("empty", 400, "UPLOAD_EMPTY"),
        ("too large", 413, "UPLOAD_TOO_LARGE"),
        ("disk full", 507, "UPLOAD_DISK_FULL"),
        ("closed", 403, "UPLOAD_CLOSED"),
        ("phase over", 403, "UPLOAD_CLOSED"),
        ("no team", 403, "UPLOAD_NO_TEAM"),
        ("disqualified", 403, "UPLOAD_DISQUALIFIED"),
    ],
)
def test_refused_archive_says_why_and_leaves_nothing(
    client, contest, settings, monkeypatch, case, status, code
):
    captain, content = factories.user(), b"x" * 100
    if case != "no team":
        team = factories.team(contest=contest, captain=captain)
    if case == "disqualified":
        factories.ruling("disqualified", team=team)
    if case == "empty":
        content = b""
    if case == "too large":
        source = contest.version.source.replace("104_857_600", "99")
        type(contest.version).objects.filter(pk=contest.version_id).update(source=source)
    if case == "disk full":
        settings.DISK_RESERVE_BYTES = 1 << 60
    if case == "phase over":
        source = contest.version.source.replace("2036-01-01", "2026-01-02")
        type(contest.version).objects.filter(pk=contest.version_id).update(source=source)
    if case == "closed":
        Contest.objects.update(is_open=False)
    response = post(client, contest, captain, archive=archive(content))
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.json()["hint"]
    assert not Submission.objects.exists()
    assert stored(settings) == []


def test_a_nul_in_a_text_is_malformed(client, contest, settings):
    captain = factories.user()
    factories.team(contest=contest, captain=captain)
    answers = [
        post(client, contest, captain, note="a\0b"),
        client.post(
            "/api/contests/demo/submissions/hub", {"repo": "a/b", "revision": "ma\0in"},
            content_type="application/json", headers=bearer(captain),
        ),
        client.get("/api/submissions?contest=%00", headers=bearer(captain)),
    ]  # fmt: skip
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(422, "MALFORMED")] * 3
    assert "NUL" in answers[0].json()["message"]
    assert stored(settings) == []


def test_only_staff_publish_reference_entries(client, contest):
    response = post(client, contest, factories.user(), kind="reference", title="W8A8")
    assert response.status_code == 403
    response = post(client, contest, factories.user(is_staff=True), kind="reference", title="W8A8")
    assert response.status_code == 201
    assert response.json()["team"] == "W8A8"


def test_submission_is_seen_by_its_team_and_staff_only(client, contest):
    captain, mate, stranger = (factories.user() for _ in range(3))
    team = factories.team(contest=contest, captain=captain, members=[mate])
    evaluation = factories.submission(contest=contest, team=team)
    path = f"/api/submissions/{evaluation.submission_id}"
    seen = {
        name: client.get(path, headers=bearer(user)).status_code
        for name, user in {
            "captain": captain,
            "mate": mate,
            "stranger": stranger,
            "staff": factories.user(is_staff=True),
        }.items()
    }
    assert seen == {"captain": 200, "mate": 200, "stranger": 404, "staff": 200}
    assert client.get(path).status_code == 401


def test_revoked_token_is_refused(client):
    user = factories.user()
    headers = bearer(user)
    assert client.get("/api/me", headers=headers).json() == {"user": user.username, "teams": []}
    assert tokens.revoke_token(user, user.api_tokens.get().pk)
    assert client.get("/api/me", headers=headers).status_code == 401


def test_rejected_submission_carries_code_sentence_and_hint_in_the_readers_language(
    client, contest
):
    evaluation = factories.rejected(contest=contest)
    headers = bearer(factories.user(is_staff=True))
    path = f"/api/submissions/{evaluation.submission_id}"
    english = client.get(path, headers={**headers, "Accept-Language": "en"}).json()["problems"][0]
    korean = client.get(path, headers={**headers, "Accept-Language": "ko"}).json()["problems"][0]
    assert english["code"] == korean["code"] == "LAYOUT_MISSING_CONFIG"
    assert english["stage"] == "check"
    assert english["sentence"] != korean["sentence"]
    assert english["hint"] and korean["hint"]


def test_contest_and_board_need_no_token(client, contest):
    assert [c["id"] for c in client.get("/api/contests").json()] == ["demo"]
    assert client.get("/api/contests/demo").json()["base_model"] == "paretoboard/demo-exaone4"
    assert client.get("/api/contests/demo/board").json()["entries"] == []
    assert client.get("/api/contests/none").status_code == 404


def test_openapi_document_lists_the_routes(client):
    paths = client.get("/api/openapi.json").json()["paths"]
    assert "/api/contests/{slug}/submissions" in paths
