"""A file being uploaded in chunks, by the tus protocol."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leaderboard.models.base import Created
from leaderboard.models.contest import Contest
from leaderboard.models.submission import Submission


def new_key() -> str:
    """128 random bits, because an upload's URL is a secret of its owner."""
    return secrets.token_hex(16)


class UploadQuerySet(models.QuerySet["Upload"]):
    def unfinished(self) -> UploadQuerySet:
        """Those that can be resumed: not entered, not expired."""
        return self.filter(expires__gt=Now(), submission__isnull=True)


class Upload(Created):
    """Working state, deleted some time after the upload ends; the submission remains.

    Attributes:
        offset_bytes: exactly how many bytes are safely on disk.
        sha256: of the whole file; declared by the client, or empty until complete.
        metadata: the client's ``Upload-Metadata`` as sent, for HEAD.
        only_check: it becomes a ``Check`` instead of a submission.
        again: grade it even if the team has entered the same before.
        refusal: code of the problem that kept a complete file from being entered.
        submission: what it became; at most one.
    """

    key = models.CharField(primary_key=True, max_length=32, default=new_key, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="uploads")
    contest = models.ForeignKey(Contest, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=Submission.Kind, default=Submission.Kind.TEAM)
    title = models.CharField(max_length=80, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    name = models.CharField(_("file name"), max_length=255)  # display text only
    metadata = models.TextField(blank=True)
    size_bytes = models.BigIntegerField(_("size"))
    offset_bytes = models.BigIntegerField(_("received"), default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    expires = models.DateTimeField(_("expires"))
    only_check = models.BooleanField(default=False)
    again = models.BooleanField(default=False)
    refusal = models.CharField(max_length=40, blank=True)
    submission = models.OneToOneField(
        Submission, models.CASCADE, null=True, blank=True, related_name="upload"
    )

    objects = UploadQuerySet.as_manager()

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        indexes = [models.Index(fields=["expires"])]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(offset_bytes__gte=0, offset_bytes__lte=models.F("size_bytes")),
                name="upload_offset_within_size",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.offset_bytes}/{self.size_bytes}"

    @property
    def is_complete(self) -> bool:
        return self.offset_bytes == self.size_bytes

    @property
    def archive(self) -> str:
        """Where the whole file goes; known from the start, so that finishing can be repeated."""
        return f"archives/{self.key}"
