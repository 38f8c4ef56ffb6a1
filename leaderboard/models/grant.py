"""Extra submissions that the organizers gave a team for one day."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from leaderboard.models.base import Created
from leaderboard.models.people import Team


class QuotaGrant(Created):
    """``extra`` more submissions on one ``day`` of the contest's time zone. Appended, never changed."""

    team = models.ForeignKey(Team, models.CASCADE, related_name="quota_grants")
    day = models.DateField(_("day"))
    extra = models.PositiveSmallIntegerField(_("extra submissions"))
    reason = models.CharField(_("reason"), max_length=200)

    class Meta:
        verbose_name = _("granted submissions")
        verbose_name_plural = _("granted submissions")
        indexes = [models.Index(fields=["team", "day"])]

    def __str__(self) -> str:
        return f"{self.team} {self.day} +{self.extra}"
