"""Bearer tokens. A worker's token opens the worker's door and nothing else, and the other way round."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja.security import HttpBearer

from leaderboard.models import ApiToken, Worker


class WorkerToken(HttpBearer):
    """``request.auth`` is the Worker."""

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        return Worker.objects.filter(digest=Worker.digest_of(token), revoked__isnull=True).first()


class UserToken(HttpBearer):
    """``request.auth`` is the User behind an API token."""

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        row = (
            ApiToken.objects.select_related("user")
            .filter(digest=ApiToken.digest_of(token), revoked__isnull=True, user__is_active=True)
            .first()
        )
        return row.user if row else None
