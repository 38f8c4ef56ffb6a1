"""Variables available in every template."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    return {"LANGUAGES": settings.LANGUAGES, "SITE_URL": settings.SITE_URL}
