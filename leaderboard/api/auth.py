"""Bearer tokens. A worker's token works only for the worker API; a person's token never does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from leaderboard.core.errors import Refused
from leaderboard.models import ApiToken, Worker

USED_EVERY = timedelta(minutes=1)  # precision of ``last_used``


class WorkerToken(HttpBearer):
    """Sets ``request.auth`` to the Worker."""

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        return Worker.objects.registered().filter(digest=Worker.digest_of(token)).first()


def token_row(request: HttpRequest, token: str) -> ApiToken | None:
    """The valid token of an active user, looked up once per request. It may still be revoked or expired."""
    known: tuple[str, ApiToken | None] | None = getattr(request, "_api_token", None)
    if known is None or known[0] != token:
        rows = ApiToken.objects.select_related("user").filter(user__is_active=True)
        known = (token, rows.filter(digest=ApiToken.digest_of(token)).first())
        request._api_token = known  # type: ignore[attr-defined]
    return known[1]


def user_id(request: HttpRequest) -> int | None:
    """The user behind a valid token or a session; None for everybody else."""
    header = request.headers.get("Authorization", "")
    if not header:
        return request.user.pk
    scheme, _, token = header.partition(" ")
    row = token_row(request, token.strip()) if scheme.lower() == "bearer" else None
    return row.user_id if row and not row.revoked and not _is_over(row) else None


def _is_over(row: ApiToken) -> bool:
    return row.expires is not None and row.expires <= timezone.now()


class UserToken(HttpBearer):
    """Sets ``request.auth`` to the User behind an API token that has the scope.

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
    """The token is optional, but a given one must be valid. Without one, a session identifies the user."""

    def __call__(self, request: HttpRequest) -> Any:
        return super().__call__(request) if "Authorization" in request.headers else request.user
