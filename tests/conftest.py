"""What every test stands on; the database and the broker come from ``tests.services``."""

from __future__ import annotations

import uuid

import pytest
from django.core.cache import caches


@pytest.fixture(autouse=True)
def _private_storage(settings, tmp_path):
    """Archives of one test are not seen by the next, nor is what it put into the cache (attempts counted)."""
    settings.HOME = tmp_path
    caches["default"].key_prefix = uuid.uuid4().hex
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.MD5PasswordHasher"
    ]  # fast, tests only
    settings.STORAGES = {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "uploads"), "file_permissions_mode": 0o600},
        },
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
