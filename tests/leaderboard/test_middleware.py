"""Headers of every response, and requests that are refused everywhere."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

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
