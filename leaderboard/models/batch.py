"""A rescore or a regrade of many entries: prepared off the board, applied as one."""

from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from leaderboard.models.base import Created
from leaderboard.models.contest import Contest, ContestVersion
from leaderboard.models.evaluation import Evaluation, Score
from leaderboard.models.submission import Submission


class Batch(Created):
    """Many entries computed again (rescore) or measured again (regrade). Written by ``leaderboard.batches``.

        draft → running → ready → applied → undone
          └────────┴────────┴───→ cancelled

    Attributes:
        filter: ``batches.choosing.Filter`` as JSON.
        version: the rules it computes under; ``old_version``: those in force when it was started.
        code_version: of the site that computed it.
        repeats: measurements per entry in a regrade.
        workers: names; if given, every entry is measured ``repeats`` times on each of them.
        noise: a score that moves by no more than this counts as unchanged on the review page.
    """

    class Kind(models.TextChoices):
        RESCORE = "rescore", _("rescore")
        REGRADE = "regrade", _("regrade")

    class Status(models.TextChoices):
        DRAFT = "draft", _("draft")
        RUNNING = "running", _("running")
        READY = "ready", _("ready for a decision")
        APPLIED = "applied", _("applied")
        CANCELLED = "cancelled", _("cancelled")
        UNDONE = "undone", _("undone")

    OPEN = (Status.DRAFT, Status.RUNNING, Status.READY)

    contest = models.ForeignKey(Contest, models.PROTECT, related_name="batches")
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.DRAFT)
    reason = models.TextField(_("reason"))
    filter = models.JSONField(_("filter"), default=dict)
    version = models.ForeignKey(ContestVersion, models.PROTECT, related_name="+")
    old_version = models.ForeignKey(ContestVersion, models.PROTECT, related_name="+")
    code_version = models.CharField(max_length=80)
    repeats = models.SmallIntegerField(_("repeats"), default=1)
    workers = models.JSONField(_("workers"), default=list)
    noise = models.FloatField(_("noise threshold"), default=0.002)
    by = models.CharField(_("by"), max_length=150)
    decided_by = models.CharField(max_length=150, blank=True)
    started = models.DateTimeField(_("started"), null=True)
    ready = models.DateTimeField(_("ready"), null=True)
    applied = models.DateTimeField(_("applied"), null=True)
    ended = models.DateTimeField(_("ended"), null=True)  # when it was cancelled or undone

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        ordering = ["-id"]
        permissions = [
            ("run_batch", "Can prepare and run a rescore or regrade"),
            ("apply_batch", "Can apply, cancel and undo a rescore or regrade"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("batch", args=[self.pk])

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN


class BatchItem(models.Model):
    """One entry in a batch: what is current before, and what would be current after.

    Attributes:
        old, old_score: evaluation and score that were current when the batch was started.
        new: evaluation that would be current: ``old`` itself for a rescore, None until measured.
        new_score: None while there is none, or when the new verdict is not a score.
        is_open: its batch is undecided; an entry can be in only one such batch.
        note: why there is nothing new.
    """

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="items")
    submission = models.ForeignKey(Submission, models.PROTECT, related_name="+")
    old = models.ForeignKey(Evaluation, models.PROTECT, related_name="+")
    old_score = models.ForeignKey(Score, models.PROTECT, null=True, related_name="+")
    new = models.ForeignKey(Evaluation, models.PROTECT, null=True, related_name="+")
    new_score = models.ForeignKey(Score, models.PROTECT, null=True, related_name="+")
    is_open = models.BooleanField(default=True)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch", "submission"], name="an_entry_once_per_batch"),
            models.UniqueConstraint(
                fields=["submission"],
                condition=models.Q(is_open=True),
                name="an_entry_in_one_open_batch",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.batch_id}: {self.submission_id}"
