"""A contest, and the versions of its rules."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from grader import contest as rules
from leaderboard.models.base import Created


class ContestQuerySet(models.QuerySet["Contest"]):
    def in_force(self) -> ContestQuerySet:
        """Those that have rules, with the rules loaded."""
        return self.select_related("version").filter(version__isnull=False)

    def listed(self) -> ContestQuerySet:
        """Those that everybody can see; the self-test's own contest is not among them."""
        return self.in_force().filter(is_listed=True)


class Contest(Created):
    """One event. Its rules are a version of its TOML file; the board always follows one version.

    Attributes:
        version: the rules in force, which every score on the board was computed under.
        pending: rules that are loaded and come into force with the batch that brings the board to them.
    """

    slug = models.SlugField(primary_key=True)
    version = models.ForeignKey(
        "ContestVersion", models.PROTECT, null=True, blank=True, related_name="+"
    )
    pending = models.ForeignKey(
        "ContestVersion", models.PROTECT, null=True, blank=True, related_name="+"
    )
    is_open = models.BooleanField(_("accepts submissions"), default=True)
    # False: visible to staff and tools only.
    is_listed = models.BooleanField(_("listed"), default=True)
    # Changes in every transaction that changes what the board shows: see lifecycle.board_moves.
    board_version = models.BigIntegerField(default=0, editable=False)

    # Manual decisions by staff; ``phases`` combines them with the dates in the file.
    frozen_at = models.DateTimeField(_("public board frozen"), null=True, blank=True)
    thawed_at = models.DateTimeField(_("public board thawed"), null=True, blank=True)
    revealed_at = models.DateTimeField(_("private board revealed"), null=True, blank=True)
    finalised_at = models.DateTimeField(_("finalized"), null=True, blank=True)

    objects = ContestQuerySet.as_manager()

    class Meta:
        verbose_name = _("contest")
        verbose_name_plural = _("contests")
        permissions = [("direct_contest", "Can freeze, reveal and finalise a contest")]

    def __str__(self) -> str:
        return self.slug

    def get_absolute_url(self) -> str:
        return reverse("board", args=[self.slug])

    @property
    def rules(self) -> rules.Contest:
        assert self.version is not None, "loadcontest creates contest and version together"
        return self.version.rules

    @property
    def accepts_submissions(self) -> bool:
        """Whether a phase is running by the server's clock and the organizers' switch is on."""
        is_open = self.is_open and self.finalised_at is None
        return is_open and self.rules.phase_at(timezone.now()) is not None


class ContestVersion(Created):
    """The text of a contest file, kept forever: every score names the version it was computed under."""

    contest = models.ForeignKey(Contest, models.CASCADE, related_name="versions")
    sha256 = models.CharField(max_length=64)
    source = models.TextField()
    folder = models.CharField(max_length=500)
    # rules.grading_sha256: workers grade identically under all versions that share it
    grading_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    # False: read before accuracy was capped by default, so its scores are not
    capped_by_default = models.BooleanField(default=True, editable=False)

    class Meta:
        verbose_name = _("contest version")
        verbose_name_plural = _("contest versions")
        constraints = [
            models.UniqueConstraint(fields=["contest", "sha256"], name="one_row_per_version")
        ]

    def __str__(self) -> str:
        return f"{self.contest_id}@{self.sha256[:12]}"

    @property
    def rules(self) -> rules.Contest:
        return _parse(self.source, self.folder, self.capped_by_default)

    @cached_property
    def equivalent_digests(self) -> frozenset[str]:
        """Digests of contest files, including its own, with which a worker grades as this version does."""
        same = ContestVersion.objects.filter(
            contest_id=self.contest_id, grading_sha256=self.grading_sha256
        ).exclude(grading_sha256="")
        return frozenset((self.sha256, *same.values_list("sha256", flat=True)))


@lru_cache(maxsize=64)
def _parse(source: str, folder: str, capped_by_default: bool) -> rules.Contest:
    found = rules.parse(source, Path(folder))
    return found if capped_by_default else rules.uncapped(found)
