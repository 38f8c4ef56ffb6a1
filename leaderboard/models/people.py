"""Teams, who is in them, and the tokens of both people and machines."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from leaderboard.models.base import Created
from leaderboard.models.contest import Contest


class Team(Created):
    """Who submits, within one contest."""

    contest = models.ForeignKey(Contest, models.PROTECT, related_name="teams")
    name = models.CharField(_("name"), max_length=40)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        constraints = [
            models.UniqueConstraint(fields=["contest", "name"], name="team_name_once_per_contest")
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("team", args=[self.pk])


class Membership(Created):
    """A person in a team: one team per person and contest."""

    contest = models.ForeignKey(Contest, models.PROTECT, related_name="+")
    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    is_captain = models.BooleanField(_("captain"), default=False)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(
                fields=["contest", "user"], name="one_team_per_person_and_contest"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.team}"


class Token(Created):
    """A bearer token; only its digest is stored, the token itself is shown once."""

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
        """Create a row and return it with the token in clear, which nobody can read again."""
        token = f"{prefix}_{secrets.token_urlsafe(32)}"
        return cls.objects.create(digest=cls.digest_of(token), **fields), token  # type: ignore[attr-defined]


class ApiToken(Token):
    """A participant's token for the CLI."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
