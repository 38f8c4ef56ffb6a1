"""What every test stands on; the database and the broker come from ``tests.services``."""

from __future__ import annotations

import signal
import uuid

import pytest
from django.core.cache import caches
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

# A test says whether the code is right, not whether the machine is busy; fixtures are not changed by examples.
hypothesis.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis.load_profile("any machine")

# A script's job in the background starts with Ctrl-C ignored, and all its children would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
