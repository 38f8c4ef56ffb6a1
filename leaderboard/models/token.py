"""Bearer tokens for people and machines."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from leaderboard.models.base import Created


class Token(Created):
    """A bearer token. Only its digest is stored; the token itself is shown once."""

    name = models.CharField(_("name"), max_length=60)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    revoked = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def digest_of(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()

    @classmethod
    def issue(cls, prefix: str, **fields: Any) -> tuple[Any, str]:
        """Create a row and return it with the token in clear text, which cannot be read again."""
        token = f"{prefix}_{secrets.token_urlsafe(32)}"
        return cls.objects.create(digest=cls.digest_of(token), **fields), token  # type: ignore[attr-defined]


def every_scope() -> list[str]:
    return list(ApiToken.Scope.values)


class ApiToken(Token):
    """A participant's token for the CLI and scripts.

    Attributes:
        scopes: what it may do, from ``ApiToken.Scope``; no scope implies another.
        expires: it is refused from then on; None means never.
        last_used: to the minute.
    """

    class Scope(models.TextChoices):
        READ = "read", _("read: my teams, submissions and their reports")
        SUBMIT = "submit", _("submit: submit and withdraw in my name")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    scopes = models.JSONField(_("scopes"), default=every_scope)
    expires = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
