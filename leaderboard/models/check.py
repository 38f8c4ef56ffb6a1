"""A check without an entry: what preflight would say about an archive or a repository, at no cost."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from grader.protocol.documents import HubSource
from grader.schema import decode
from leaderboard.models.base import Created
from leaderboard.models.contest import Contest
from leaderboard.models.upload import new_key


class Check(Created):
    """Belongs to a person, is deleted after a week, and is referenced by no other row.

    Attributes:
        key: its URL, and the name of its bytes among the unfinished uploads until the check is done.
        hub: ``grader.protocol.documents.HubSource``, or empty.
        tries: how often it was started; ``tried``: when it last was, or last showed that it works.
        finished: when the archive was deleted and only the findings were kept.
        problems, notices, facts: of ``grader.checkpoint.Findings``.
    """

    key = models.CharField(primary_key=True, max_length=32, default=new_key, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="checks")
    contest = models.ForeignKey(Contest, models.CASCADE, related_name="+")
    name = models.CharField(_("file name"), max_length=255)  # display text only
    size_bytes = models.BigIntegerField(_("size"))
    hub = models.JSONField(default=dict, blank=True, editable=False)
    tries = models.SmallIntegerField(default=0)
    tried = models.DateTimeField(null=True, blank=True)
    finished = models.DateTimeField(null=True, blank=True)
    problems = models.JSONField(default=list, blank=True)
    notices = models.JSONField(default=list, blank=True)
    facts = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("check")
        verbose_name_plural = _("checks")
        indexes = [
            models.Index(
                fields=["tried"], name="waiting_checks", condition=models.Q(finished__isnull=True)
            ),
            models.Index(fields=["created"], name="check_age"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {'checked' if self.finished else 'waiting'}"

    def get_absolute_url(self) -> str:
        return reverse("check", args=[self.contest_id, self.key])

    @property
    def hub_source(self) -> HubSource | None:
        return decode(HubSource, self.hub) if self.hub else None
