"""The immutable fact that somebody entered a checkpoint."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from grader.protocol.documents import HubSource
from grader.schema import decode
from leaderboard.models.base import Created
from leaderboard.models.contest import Contest
from leaderboard.models.people import Team


class SubmissionQuerySet(models.QuerySet["Submission"]):
    def without_selftest(self) -> SubmissionQuerySet:
        """Entries by people; those entered by ``manage.py selftest`` are not part of any contest."""
        return self.exclude(kind=Submission.Kind.SELFTEST)


class Submission(Created):
    """The fact that somebody entered this archive, or this commit on the Hub. Only its evaluations change.

    Attributes:
        again: the team knew that it had entered the same before.
        hub: ``grader.protocol.documents.HubSource``, or empty; workers fetch it from there.
    """

    class Kind(models.TextChoices):
        TEAM = "team", _("team")
        REFERENCE = "reference", _("reference")
        BASE = "base", _("base model")
        SELFTEST = "selftest", _("self-test")  # manage.py selftest: never ranked, staff only

    contest = models.ForeignKey(Contest, models.PROTECT, related_name="submissions")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.TEAM)
    team = models.ForeignKey(
        Team, models.PROTECT, null=True, blank=True, related_name="submissions"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="submissions")
    title = models.CharField(_("title"), max_length=80, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    # Storage key, never the user's file name; empty for an entry from the Hub.
    archive = models.CharField(max_length=100, editable=False, blank=True)
    archive_name = models.CharField(_("file name"), max_length=255)  # display text only
    archive_sha256 = models.CharField("sha256", max_length=64, blank=True)
    archive_bytes = models.BigIntegerField(_("size"))
    again = models.BooleanField(_("measured again"), default=False)
    hub = models.JSONField(default=dict, blank=True, editable=False)

    objects = SubmissionQuerySet.as_manager()

    class Meta:
        verbose_name = _("submission")
        verbose_name_plural = _("submissions")
        indexes = [models.Index(fields=["contest", "team", "-created"])]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="team", team__isnull=False)
                | (~models.Q(kind="team") & models.Q(team__isnull=True)),
                name="organisers_entries_have_no_team",
            )
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("submission", args=[self.pk])

    @property
    def hub_source(self) -> HubSource | None:
        return decode(HubSource, self.hub) if self.hub else None

    @property
    def entrant(self) -> str:
        """The name on the board."""
        return str(self.team) if self.team_id else self.title or self.get_kind_display()
