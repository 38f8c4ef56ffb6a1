"""Bearer tokens. A worker's token opens the worker's door and nothing else, and the other way round."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from leaderboard.core.errors import Refused
from leaderboard.models import ApiToken, Worker

USED_EVERY = timedelta(minutes=1)  # how exactly ``last_used`` is kept


class WorkerToken(HttpBearer):
    """``request.auth`` is the Worker."""

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        return Worker.objects.registered().filter(digest=Worker.digest_of(token)).first()


def token_row(request: HttpRequest, token: str) -> ApiToken | None:
    """The token of somebody who may log in, asked for once a request; it may be revoked or expired."""
    known: tuple[str, ApiToken | None] | None = getattr(request, "_api_token", None)
    if known is None or known[0] != token:
        rows = ApiToken.objects.select_related("user").filter(user__is_active=True)
        known = (token, rows.filter(digest=ApiToken.digest_of(token)).first())
        request._api_token = known  # type: ignore[attr-defined]
    return known[1]


def user_id(request: HttpRequest) -> int | None:
    """Who asks, by a good token or by a session; None for anybody else, whatever they send."""
    header = request.headers.get("Authorization", "")
    if not header:
        return request.user.pk
    scheme, _, token = header.partition(" ")
    row = token_row(request, token.strip()) if scheme.lower() == "bearer" else None
    return row.user_id if row and not row.revoked and not _is_over(row) else None


def _is_over(row: ApiToken) -> bool:
    return row.expires is not None and row.expires <= timezone.now()


class UserToken(HttpBearer):
    """``request.auth`` is the User behind an API token that has the scope.

    Raises:
        Refused: the token is known, but revoked, expired, or made for something else.
    """

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        row = token_row(request, token)
        if row is None:
            return None
        if row.revoked:
            raise Refused("TOKEN_REVOKED")
        if _is_over(row):
            raise Refused("TOKEN_EXPIRED", day=f"{row.expires:%Y-%m-%d}")
        if self.scope not in row.scopes:
            may = ", ".join(row.scopes) or "nothing"
            raise Refused("TOKEN_SCOPE", scopes=may, needed=self.scope)
        if row.last_used is None or row.last_used < timezone.now() - USED_EVERY:
            ApiToken.objects.filter(pk=row.pk).update(last_used=Now())
        return row.user


class Anyone(UserToken):
    """No token is needed; one that is given must be good. Without one, a session says who asks."""

    def __call__(self, request: HttpRequest) -> Any:
        return super().__call__(request) if "Authorization" in request.headers else request.user
