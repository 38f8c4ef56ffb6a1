"""Staff actions: who, what, before, after, why. The database refuses to change or delete a row."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from leaderboard.models.base import Created


class AuditEntry(Created):
    """One staff action. Append-only: a trigger refuses UPDATE and DELETE.

    Attributes:
        by, by_name: who; the name stays when the account is deleted, and is ``manage.py`` for commands.
        action: ``batch.apply``, ``team.disqualify``, ``admin.change``, …
        target, target_id: model name and key of the object.
        contest: slug, empty when the action concerns no single contest.
        before, after: what changed, as JSON.
        reason: as the actor gave it.
    """

    # No database constraint, no cascade: deleting an account must neither be blocked by this row nor delete it.
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        related_name="+",
        verbose_name=_("by"),
    )
    by_name = models.CharField(_("name"), max_length=150)
    action = models.CharField(_("action"), max_length=40, db_index=True)
    target = models.CharField(_("target"), max_length=40)
    target_id = models.CharField(_("key"), max_length=64)
    contest = models.CharField(_("contest"), max_length=50, blank=True, db_index=True)
    before = models.JSONField(_("before"), default=dict)
    after = models.JSONField(_("after"), default=dict)
    reason = models.TextField(_("reason"), blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        ordering = ["-id"]
        indexes = [models.Index(fields=["target", "target_id"], name="audit_of_a_thing")]

    def __str__(self) -> str:
        return f"{self.by_name}: {self.action} {self.target} {self.target_id}"
