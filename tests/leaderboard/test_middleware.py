"""Headers of every response, and requests that are refused everywhere."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse

from leaderboard.accounts import tokens
from leaderboard.middleware import Compressed
from tests import factories

pytestmark = pytest.mark.django_db


def test_what_depends_on_the_reader_is_kept_by_no_shared_cache(client, django_user_model):
    row = factories.scored(contest=factories.contest())
    address = row.submission.get_absolute_url()
    staff = django_user_model.objects.create_user("organizer", is_staff=True, is_superuser=True)
    client.force_login(staff)
    assert client.get(address).headers["Cache-Control"] == "private, no-cache"
    assert client.get("/").headers["Cache-Control"] == "private, no-cache"


def test_what_is_the_same_for_everybody_is_left_to_caches(client):
    assert "Cache-Control" not in client.get("/healthz").headers


def large(client, path, **headers):
    file = SimpleUploadedFile("x.bin", b"x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))
    return client.post(path, {"file": file}, headers={"Accept-Language": "en", **headers})


@pytest.mark.parametrize("path", ["/account/login/", "/contests/demo/submit/", "/nowhere/"])
def test_a_large_form_of_a_stranger_is_refused_before_it_is_parsed(client, path, monkeypatch):
    monkeypatch.setattr("django.http.request.HttpRequest.parse_file_upload", pytest.fail)
    answer = large(client, path)
    assert (answer.status_code, "BODY_TOO_LARGE" in answer.content.decode()) == (413, True)


def test_the_api_says_so_in_its_one_shape(client):
    answer = large(client, "/api/contests/demo/submissions")
    assert answer.status_code == 413
    assert set(answer.json()) == {"code", "message", "hint"}


def test_where_files_are_taken_a_token_opens_the_door(client):
    assert (
        large(client, "/api/contests/demo/submissions", Authorization="Bearer x").status_code == 401
    )


@pytest.mark.parametrize("path", ["/contests/demo/submit/", "/login/"])
def test_a_form_that_finds_no_room_is_507(client, path, monkeypatch):
    contest = factories.contest()
    user = factories.user()
    factories.team(contest=contest, captain=user)
    client.force_login(user)
    monkeypatch.setattr("leaderboard.storage.disk.free_bytes", lambda: 10)
    file = SimpleUploadedFile("x.zip", b"x" * 11)
    answer = client.post(path, {"archive": file}, headers={"Accept-Language": "en"})
    assert (answer.status_code, "UPLOAD_DISK_FULL" in answer.content.decode()) == (507, True)


def test_the_api_says_in_its_one_shape_that_there_is_no_room(client, monkeypatch):
    contest = factories.contest()
    user = factories.user()
    factories.team(contest=contest, captain=user)
    monkeypatch.setattr("leaderboard.storage.disk.free_bytes", lambda: 10)
    headers = {"Authorization": f"Bearer {tokens.issue_token(user, 'x')}"}
    file = SimpleUploadedFile("x.zip", b"x" * 11)
    answer = client.post("/api/contests/demo/submissions", {"archive": file}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (507, "UPLOAD_DISK_FULL")
    assert set(answer.json()) == {"code", "message", "hint"}


def test_pages_are_compressed_for_whoever_reads_that(client):
    for _ in range(8):
        factories.scored(contest=factories.contest())
    packed = client.get("/contests/demo/", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/contests/demo/")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert len(packed.content) < len(plain.content) / 3


@pytest.mark.parametrize(
    ("kind", "status", "is_compressed"),
    [
        ("text/html; charset=utf-8", 200, True),
        ("text/csv", 200, True),
        ("application/json", 200, True),
        ("application/openapi+json", 200, True),
        ("application/octet-stream", 200, False),  # an archive of gigabytes
        ("application/zip", 200, False),
        ("text/plain", 206, False),  # a range of the bytes as they are
    ],
)
def test_only_text_is_compressed(rf, kind, status, is_compressed):
    def view(request):
        return HttpResponse(b"x" * 1000, content_type=kind, status=status)

    answer = Compressed(view)(rf.get("/", headers={"Accept-Encoding": "gzip"}))
    assert answer.has_header("Content-Encoding") is is_compressed
    assert (len(answer.content) < 1000) is is_compressed
