"""GPU boxes."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from leaderboard.models.token import Token


class Worker(Token):
    """A GPU box. What it says of itself is stored when it asks for work."""

    device = models.CharField(_("device"), max_length=20, blank=True)
    sandbox = models.CharField(_("sandbox"), max_length=20, blank=True)
    versions = models.JSONField(_("versions"), default=dict, blank=True)
    last_seen = models.DateTimeField(_("last seen"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
