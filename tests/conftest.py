"""Fixtures for every test; the database and the broker come from ``tests.services``."""

from __future__ import annotations

import signal
import uuid

import pytest
from django.core.cache import caches
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

from grader.contest import salt

# No deadlines: a test checks the code, not how busy the machine is. Examples do not change fixtures.
hypothesis.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis.load_profile("any machine")

# Shells start background jobs with SIGINT ignored, and all child processes would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _one_split(request, monkeypatch):
    """The same questions are public in every run, unless a module is about drawing salts."""
    if not getattr(request.module, "DRAWS_SALTS", False):
        monkeypatch.setattr(salt, "generate", lambda: "demo-2026")


@pytest.fixture(autouse=True)
def _private_storage(settings, tmp_path):
    """Tests do not see each other's archives or cache entries (such as rate limit counts)."""
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
