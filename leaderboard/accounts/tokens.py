"""Accounts: their tokens, and the language they are written to in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import get_language

from leaderboard.models import ApiToken, Profile


def issue_token(
    user: User, name: str, *, scopes: Sequence[str] = ApiToken.Scope.values, days: int = 0
) -> str:
    """A new API token in clear; it cannot be read again.

    Args:
        scopes: of ``ApiToken.Scope``.
        days: until it expires; 0: never.
    """
    expires = timezone.now() + timedelta(days=days) if days else None
    _, token = ApiToken.issue("pbt", user=user, name=name, scopes=list(scopes), expires=expires)
    return token


def revoke_token(user: User, pk: int) -> bool:
    """Revoke one of the user's own tokens."""
    own = ApiToken.objects.filter(pk=pk, user=user, revoked__isnull=True)
    return bool(own.update(revoked=Now()))


def remember_language(user: User, language: str) -> None:
    """What mails to this person are written in from now on."""
    Profile.objects.update_or_create(user=user, defaults={"language": language})


def greet(user: User, **_: Any) -> None:
    """Whoever logs in for the first time is written to in the language of that page."""
    language = get_language()
    if language in dict(settings.LANGUAGES):
        Profile.objects.get_or_create(user=user, defaults={"language": language})
