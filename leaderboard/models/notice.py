"""Notifications to teams: webhook settings and the outbox."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leaderboard.models.base import Created
from leaderboard.models.evaluation import Evaluation
from leaderboard.models.people import Team
from leaderboard.models.sentences import say


class Delivery(Created):
    """One event for one target: a row of the outbox, written in the same transaction as the event.

    Attributes:
        key: what happened, so that it is sent once: ``evaluation/12``, ``batch/3/evaluation/12``.
        target: the email address or webhook URL at that time.
        uid: the same on every try; a receiver that has seen it may drop the message.
        event: the facts at the time of the event; see docs/notifications.md.
        answer_code, answer_parameters: the outcome of the last try; :attr:`answer` renders it for the team.
    """

    class Kind(models.TextChoices):
        SCORED = "scored", _("scored")
        REJECTED = "rejected", _("rejected")
        FAILED = "failed", _("failed because of a system fault")
        RESCORED = "rescored", _("score changed by the organizers")
        RULING = "ruling", _("ruling by the organizers")
        MERGE = "merge", _("merge offer from another team")
        REVIEW = "review", _("entry to look at, for staff")
        TEST = "test", _("test message")

    class Channel(models.TextChoices):
        MAIL = "mail", _("email")
        WEBHOOK = "webhook", _("webhook")

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENT = "sent", _("delivered")
        GIVEN_UP = "given_up", _("given up")

    class Answer(models.TextChoices):
        TIMEOUT = "timeout", _("no answer within %(n)s s")
        REMOVED = "removed", _("the webhook was removed")
        NOT_HTTPS = "not_https", _("not an https address")
        NO_ADDRESS = "no_address", _("no address of a webhook")
        PRIVATE = "private", _("the address is inside a private network")
        BROKE = "broke", _("the site could not send it")
        TEXT = "text", "%(text)s"  # in the words of the receiver or of the network

    team = models.ForeignKey(Team, models.CASCADE, related_name="deliveries")
    evaluation = models.ForeignKey(
        Evaluation, models.CASCADE, null=True, blank=True, related_name="+"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+"
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    key = models.CharField(max_length=120)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel)
    target = models.CharField(_("target"), max_length=500)
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    event = models.JSONField(default=dict)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.WAITING)
    tries = models.SmallIntegerField(_("tries"), default=0)
    not_before = models.DateTimeField(db_default=Now())
    ended = models.DateTimeField(_("ended"), null=True, blank=True)
    answer_code = models.CharField(_("answer"), max_length=20, choices=Answer, blank=True)
    answer_parameters = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [
            models.UniqueConstraint(
                fields=["team", "key", "kind", "channel", "target"], name="told_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["not_before"], name="outbox", condition=models.Q(status="waiting")
            ),
            models.Index(fields=["ended"], name="delivery_age"),
        ]

    def __str__(self) -> str:
        return f"{self.team}: {self.kind} → {self.channel}"

    @property
    def answer(self) -> str:
        return say(self.Answer, self.answer_code, self.answer_parameters)


class Webhook(Created):
    """Where a team's events are posted. The secret signs messages, so it cannot be stored as a digest."""

    team = models.OneToOneField(Team, models.CASCADE, primary_key=True, related_name="webhook")
    url = models.URLField(_("address"), max_length=500)
    secret = models.CharField(max_length=80, editable=False)
    kinds = models.JSONField(_("events"), default=list)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")

    def __str__(self) -> str:
        return str(self.team)
