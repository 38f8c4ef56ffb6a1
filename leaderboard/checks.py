"""System checks for settings that can be wrong, each with an id and a hint."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def secret_key(**_: Any) -> list[CheckMessage]:
    """The built-in key is public: fine on this machine, unsafe under a public host name."""
    local = {"localhost", "127.0.0.1", "[::1]", "testserver"}
    public = sorted(set(settings.ALLOWED_HOSTS) - local)
    if public and settings.SECRET_KEY.startswith("insecure-"):
        return [
            Error(
                f"SECRET_KEY is the built-in one, but the site answers as {', '.join(public)}.",
                hint="Set SECRET_KEY (or SECRET_KEY_FILE) to 50 random characters.",
                id="leaderboard.E001",
            )
        ]
    return []
