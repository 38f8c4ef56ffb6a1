"""A person's API tokens and the language of their emails."""

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
    """Create an API token and return it in clear text; it cannot be read again.

    Args:
        scopes: of ``ApiToken.Scope``.
        days: until it expires; 0 means never.
    """
    expires = timezone.now() + timedelta(days=days) if days else None
    _, token = ApiToken.issue("pbt", user=user, name=name, scopes=list(scopes), expires=expires)
    return token


def revoke_token(user: User, pk: int) -> bool:
    """Revoke one of the user's own tokens."""
    own = ApiToken.objects.filter(pk=pk, user=user, revoked__isnull=True)
    return bool(own.update(revoked=Now()))


def remember_language(user: User, language: str) -> None:
    """Set the language of all later emails to this person."""
    Profile.objects.update_or_create(user=user, defaults={"language": language})


def greet(user: User, **_: Any) -> None:
    """On first login, use the language of that page for the person's emails."""
    language = get_language()
    if language in dict(settings.LANGUAGES):
        Profile.objects.get_or_create(user=user, defaults={"language": language})
