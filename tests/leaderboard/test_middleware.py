"""Headers that every answer carries."""

from __future__ import annotations

import pytest

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
