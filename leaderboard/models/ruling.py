"""Organizers' rulings on a team or an entry, and a team's choices for the final."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from leaderboard.models.base import Created
from leaderboard.models.contest import Contest
from leaderboard.models.people import Team
from leaderboard.models.submission import Submission


class RulingQuerySet(models.QuerySet["Ruling"]):
    def in_force(self) -> RulingQuerySet:
        """Those in force."""
        return self.filter(lifted__isnull=True)


class Ruling(Created):
    """A team or one of its entries is disqualified, or hidden from the public board, until the ruling is
    lifted.

    Nothing is deleted: submission, report and scores stay as evidence, and a lifted ruling stays as history.

    Attributes:
        reason: shown to the team.
        evidence: for staff only.
        lifted: when it ended; None while it is in force.
    """

    class Kind(models.TextChoices):
        DISQUALIFIED = "disqualified", _("disqualified")
        HIDDEN = "hidden", _("hidden")

    contest = models.ForeignKey(Contest, models.PROTECT, related_name="rulings")
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    team = models.ForeignKey(Team, models.PROTECT, null=True, blank=True, related_name="rulings")
    submission = models.ForeignKey(
        Submission, models.PROTECT, null=True, blank=True, related_name="rulings"
    )
    reason = models.TextField(_("reason"))
    evidence = models.TextField(_("evidence"), blank=True)
    by = models.CharField(_("by"), max_length=150)
    lifted = models.DateTimeField(_("lifted"), null=True, blank=True)
    lifted_by = models.CharField(max_length=150, blank=True)
    lifted_reason = models.TextField(blank=True)

    objects = RulingQuerySet.as_manager()

    class Meta:
        verbose_name = _("ruling")
        verbose_name_plural = _("rulings")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(team__isnull=False, submission__isnull=True)
                | models.Q(team__isnull=True, submission__isnull=False),
                name="ruling_on_a_team_or_an_entry",
            ),
            models.UniqueConstraint(
                fields=["team", "kind"],
                condition=models.Q(lifted__isnull=True),
                name="one_ruling_of_a_kind_per_team",
            ),
            models.UniqueConstraint(
                fields=["submission", "kind"],
                condition=models.Q(lifted__isnull=True),
                name="one_ruling_of_a_kind_per_entry",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.team or self.submission}"


class FinalChoice(Created):
    """An entry that its team chose for the final; without any, the team's best entries go."""

    team = models.ForeignKey(Team, models.CASCADE, related_name="final_choices")
    submission = models.OneToOneField(Submission, models.CASCADE, related_name="final_choice")
    by = models.CharField(max_length=150)

    class Meta:
        verbose_name = _("final selection")
        verbose_name_plural = _("final selections")

    def __str__(self) -> str:
        return f"{self.team}: {self.submission}"
