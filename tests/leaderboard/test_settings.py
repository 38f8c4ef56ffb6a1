"""How environment variables change the settings, in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

MAIL = (
    "from django.core.mail import get_connection as c; m = c(); print(m.use_ssl, m.use_tls, m.port)"
)


def shown(code: str, **environment: str) -> str:
    code = f"import django; django.setup(); {code}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "leaderboard.settings", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "False True 587"),
        ({"EMAIL_USE_TLS": "0"}, "False False 587"),
        ({"EMAIL_USE_SSL": "1", "EMAIL_PORT": "465"}, "True False 465"),
    ],
    ids=["starttls", "plain", "tls from the first byte"],
)
def test_mail_is_sent_with_starttls_or_tls_from_the_first_byte(environment, expected):
    assert shown(MAIL, EMAIL_HOST="mail.example.org", **environment) == expected
