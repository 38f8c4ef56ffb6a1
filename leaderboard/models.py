"""What the site remembers. Thin: verbs that change an evaluation live in ``lifecycle``, reads in ``queries``.

A submission is an immutable fact; an evaluation of it has the status; an attempt is one run of an evaluation;
a result is what was measured, stored unchanged; a score is the formula applied to it, appended, never edited.
"""

from __future__ import annotations

import hashlib
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from grader import contest as rules
from grader.problems import Stage


class Created(models.Model):
    """Rows stamped by the database's clock, the only clock that counts."""

    created = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    class Meta:
        abstract = True


class Contest(Created):
    """One event. Its rules are a version of its TOML file; the board is always of one version."""

    slug = models.SlugField(primary_key=True)
    version = models.ForeignKey(
        "ContestVersion", models.PROTECT, null=True, blank=True, related_name="+"
    )
    is_open = models.BooleanField(_("accepts submissions"), default=True)
    is_listed = models.BooleanField(
        _("listed"), default=True
    )  # False: known to staff and tools only

    class Meta:
        verbose_name = _("contest")
        verbose_name_plural = _("contests")

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
        """A phase runs by the server's clock, and the organisers' switch is on."""
        return self.is_open and self.rules.phase_at(timezone.now()) is not None


class ContestVersion(Created):
    """The text of a contest file, kept for ever: every score names the version it was computed under."""

    contest = models.ForeignKey(Contest, models.CASCADE, related_name="versions")
    sha256 = models.CharField(max_length=64)
    source = models.TextField()
    folder = models.CharField(max_length=500)

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
        return _parse(self.source, self.folder)


@lru_cache(maxsize=64)
def _parse(source: str, folder: str) -> rules.Contest:
    return rules.parse(source, Path(folder))


class Team(Created):
    """Who submits, within one contest."""

    contest = models.ForeignKey(Contest, models.PROTECT, related_name="teams")
    name = models.CharField(_("name"), max_length=40)

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
    """A person in a team: one team per person and contest."""

    contest = models.ForeignKey(Contest, models.PROTECT, related_name="+")
    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    is_captain = models.BooleanField(_("captain"), default=False)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(
                fields=["contest", "user"], name="one_team_per_person_and_contest"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.team}"


class Token(Created):
    """A bearer token; only its digest is stored, the token itself is shown once."""

    name = models.CharField(_("name"), max_length=60)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    revoked = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def digest_of(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()

    @classmethod
    def issue(cls, prefix: str, **fields: Any) -> tuple[Any, str]:
        """Create a row and return it with the token in clear, which nobody can read again."""
        token = f"{prefix}_{secrets.token_urlsafe(32)}"
        return cls.objects.create(digest=cls.digest_of(token), **fields), token  # type: ignore[attr-defined]


class ApiToken(Token):
    """A participant's token for the CLI."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")


class Worker(Token):
    """A GPU box. What it says of itself is stored when it asks for work."""

    device = models.CharField(_("device"), max_length=20, blank=True)
    sandbox = models.CharField(_("sandbox"), max_length=20, blank=True)
    versions = models.JSONField(_("versions"), default=dict, blank=True)
    last_seen = models.DateTimeField(_("last seen"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")


class Submission(Created):
    """The fact that somebody entered this archive. Never changes; its evaluations do."""

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
    archive = models.CharField(max_length=100, editable=False)  # storage key, never the user's name
    archive_name = models.CharField(_("file name"), max_length=255)  # display text only
    archive_sha256 = models.CharField("sha256", max_length=64)
    archive_bytes = models.BigIntegerField(_("size"))

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
    def entrant(self) -> str:
        """The name on the board."""
        return str(self.team) if self.team_id else self.title or self.get_kind_display()


class Evaluation(Created):
    """One grading of one submission. ``status`` is written by ``lifecycle`` alone.

    Attributes:
        stage: where it stands, for people.
        is_checked: preflight passed; a worker may claim it.
        attempt: number of the latest attempt, the fencing token of every message from a worker.
        faults: how many attempts ended in a fault of ours.
        progress: ``grader.report.Progress`` of the running attempt.
        problems: findings shown to the team (``grader.problems.Problem``), empty while all is well.
        facts: ``grader.report.CheckpointFacts`` from preflight.
        score: the score that counts now; older ones stay as rows.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        SCORED = "scored", _("scored")
        REJECTED = "rejected", _("rejected")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    submission = models.ForeignKey(Submission, models.PROTECT, related_name="evaluations")
    version = models.ForeignKey(ContestVersion, models.PROTECT, related_name="+")
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.QUEUED)
    stage = models.CharField(_("stage"), max_length=10, default=Stage.CHECK.value)
    priority = models.SmallIntegerField(_("priority"), default=0)
    is_checked = models.BooleanField(_("checked"), default=False)
    check_attempts = models.SmallIntegerField(default=0)
    attempt = models.IntegerField(_("attempt"), default=0)
    faults = models.SmallIntegerField(_("system faults"), default=0)
    worker = models.ForeignKey(Worker, models.SET_NULL, null=True, blank=True, related_name="+")
    not_before = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True, blank=True)
    progress = models.JSONField(default=dict, blank=True)
    problems = models.JSONField(_("problems"), default=list, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    score = models.OneToOneField(
        "Score", models.SET_NULL, null=True, blank=True, related_name="counts_for"
    )
    started = models.DateTimeField(_("started"), null=True, blank=True)
    finished = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("evaluation")
        verbose_name_plural = _("evaluations")
        indexes = [
            models.Index(fields=["status", "is_checked", "-priority", "id"], name="claim_order"),
            models.Index(
                fields=["lease_until"], name="running_leases", condition=models.Q(status="running")
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(status="scored") | models.Q(score__isnull=False),
                name="scored_has_a_score",
            )
        ]

    def __str__(self) -> str:
        return f"{self.submission_id}/{self.pk} {self.status}"


class Attempt(models.Model):
    """One run of an evaluation on one worker."""

    evaluation = models.ForeignKey(Evaluation, models.CASCADE, related_name="attempts")
    number = models.IntegerField(_("attempt"))
    worker = models.ForeignKey(Worker, models.SET_NULL, null=True, related_name="attempts")
    started = models.DateTimeField(_("started"), db_default=Now())
    ended = models.DateTimeField(_("ended"), null=True)
    outcome = models.CharField(_("outcome"), max_length=20, blank=True)
    problems = models.JSONField(_("problems"), default=list)
    log = models.TextField(_("log tail"), blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [
            models.UniqueConstraint(fields=["evaluation", "number"], name="attempt_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.evaluation_id}.{self.number} {self.outcome}"


class Transition(Created):
    """One change of an evaluation's status. Append-only."""

    evaluation = models.ForeignKey(Evaluation, models.CASCADE, related_name="transitions")
    old = models.CharField(_("from"), max_length=10, blank=True)
    new = models.CharField(_("to"), max_length=10)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    by = models.CharField(_("by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("transition")
        verbose_name_plural = _("transitions")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.old} → {self.new}"


class Result(Created):
    """What the counted attempt measured, as it arrived. At most one per evaluation, ever."""

    evaluation = models.OneToOneField(Evaluation, models.CASCADE, primary_key=True)
    attempt = models.IntegerField()
    report = models.JSONField()

    def __str__(self) -> str:
        return str(self.evaluation_id)


class Score(Created):
    """The formula applied to a result. Rescoring appends; the evaluation points at the one that counts."""

    evaluation = models.ForeignKey(Evaluation, models.CASCADE, related_name="scores")
    version = models.ForeignKey(ContestVersion, models.PROTECT, related_name="+")
    formula = models.CharField(max_length=40)
    value = models.FloatField(_("score"))
    half_width = models.FloatField()
    terms = models.JSONField()
    safetensors_bytes = models.BigIntegerField()
    speedup = models.FloatField()
    accuracy = models.FloatField()
    reason = models.CharField(max_length=200, blank=True)
    by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = _("score")
        verbose_name_plural = _("scores")

    def __str__(self) -> str:
        return f"{self.value:.4f}"
