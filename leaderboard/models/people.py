"""Teams and their members."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from leaderboard.models.base import Created
from leaderboard.models.contest import Contest


class Profile(models.Model):
    """What an account has besides Django's own columns: the language of its emails."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="profile"
    )
    language = models.CharField(_("language"), max_length=10, choices=settings.LANGUAGES)

    class Meta:
        verbose_name = _("profile")
        verbose_name_plural = _("profiles")

    def __str__(self) -> str:
        return str(self.user)


class TeamQuerySet(models.QuerySet["Team"]):
    def unmerged(self) -> TeamQuerySet:
        """Teams that have not been merged into another."""
        return self.filter(merged_into__isnull=True)


class Team(Created):
    """A team, which submits within one contest.

    Attributes:
        merged_into: the team that took over this one's members and entries; the name stays taken.
    """

    contest = models.ForeignKey(Contest, models.PROTECT, related_name="teams")
    name = models.CharField(_("name"), max_length=40)
    merged_into = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, editable=False, related_name="absorbed"
    )

    objects = TeamQuerySet.as_manager()

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
    """A person in a team: one team per person and contest, one captain per team.

    Attributes:
        mail_kinds: events of the team this member gets an email about (``Delivery.Kind``).
    """

    contest = models.ForeignKey(Contest, models.PROTECT, related_name="+")
    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    is_captain = models.BooleanField(_("captain"), default=False)
    mail_kinds = models.JSONField(_("emails about"), default=list, blank=True)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(
                fields=["contest", "user"], name="one_team_per_person_and_contest"
            ),
            models.UniqueConstraint(
                fields=["team"], condition=models.Q(is_captain=True), name="one_captain_per_team"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.team}"


class Invitation(Created):
    """A link into a team. The row holds no secret: the link is its number, signed (``teams.invitations``)."""

    team = models.ForeignKey(Team, models.CASCADE, related_name="invitations")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    expires = models.DateTimeField(_("expires"))
    revoked = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return f"{self.team} #{self.pk}"


class Merger(Created):
    """One captain's offer to take over another team, and its outcome."""

    class Status(models.TextChoices):
        OPEN = "open", _("awaiting an answer")
        ACCEPTED = "accepted", _("accepted")
        DECLINED = "declined", _("declined")
        WITHDRAWN = "withdrawn", _("withdrawn")

    team = models.ForeignKey(Team, models.CASCADE, related_name="mergers_offered")
    other = models.ForeignKey(Team, models.CASCADE, related_name="mergers_received")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.OPEN)
    decided = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("merger")
        verbose_name_plural = _("mergers")
        constraints = [
            models.UniqueConstraint(
                fields=["team", "other"],
                condition=models.Q(status="open"),
                name="one_open_offer_per_pair",
            )
        ]

    def __str__(self) -> str:
        return f"{self.team} + {self.other}"


class TeamEvent(Created):
    """One line of a team's history, never changed: who joined, left, led, renamed or merged it."""

    class Kind(models.TextChoices):
        CREATED = "created", _("created the team")
        JOINED = "joined", _("joined the team")
        LEFT = "left", _("left the team")
        REMOVED = "removed", _("removed a member")
        CAPTAIN = "captain", _("made someone captain")
        RENAMED = "renamed", _("renamed the team")
        MERGED = "merged", _("merged a team in")
        FINAL = "final", _("chose the final entries")

    team = models.ForeignKey(Team, models.CASCADE, related_name="events")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    by = models.CharField(_("by"), max_length=150)
    detail = models.CharField(_("detail"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("team event")
        verbose_name_plural = _("team events")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.team}: {self.by} {self.kind}"
