"""Grading: an evaluation, its attempts, what was measured, and the scores computed from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from grader.problems.catalogue import Stage
from grader.scoring.parts import Part
from leaderboard.models.base import Created
from leaderboard.models.contest import Contest, ContestVersion
from leaderboard.models.people import Team
from leaderboard.models.sentences import say
from leaderboard.models.submission import Submission
from leaderboard.models.worker import Worker


class EvaluationQuerySet(models.QuerySet["Evaluation"]):
    def current(self) -> EvaluationQuerySet:
        """The current one of each submission: not a regrade whose batch is undecided or was undone."""
        return self.filter(is_current=True)

    def of_contest(self, contest: Contest) -> EvaluationQuerySet:
        return self.filter(submission__contest=contest)

    def without_selftest(self) -> EvaluationQuerySet:
        """Of entries by people, see ``Submission.objects``."""
        return self.exclude(submission__kind=Submission.Kind.SELFTEST)

    def scored(self) -> EvaluationQuerySet:
        return self.filter(status=Evaluation.Status.SCORED)

    def unfinished(self) -> EvaluationQuerySet:
        """Queued or running."""
        return self.filter(status__in=Evaluation.UNFINISHED)

    def unfinished_or_scored(self) -> EvaluationQuerySet:
        """What uses quota: anything not rejected, failed or cancelled."""
        return self.filter(status__in=(*Evaluation.UNFINISHED, Evaluation.Status.SCORED))


class Evaluation(Created):
    """One grading of one submission. ``status`` is written by ``lifecycle`` alone.

    Attributes:
        stage: progress within a status, for people.
        is_checked: preflight passed; a worker may claim it.
        attempt: number of the latest attempt, the fencing token in every message from a worker.
        faults: how many attempts ended in a system fault.
        progress: ``grader.protocol.documents.Progress`` of the running attempt.
        problems: findings shown to the team (``grader.problems.catalogue.Problem``); empty if there are none.
        facts: ``grader.protocol.documents.CheckpointFacts`` from preflight.
        score: its current score; older ones stay as rows.
        is_current: whether it represents its submission. Exactly one does; a regrade's once its batch is
            applied.
        batch: the regrade that it belongs to.
        held_until: cancelled as a duplicate; until then the team may have it graded anyway.
        only_worker: no other worker may claim it.
        review_until: until then the board marks it as under review if it is first or has a flag; null once
            staff have looked at it, or the time is over.
        flags: codes of the checks that were flagged when it was scored.
        site_checks: ``grader.protocol.documents.Check``, what the site found beyond the report's.
        pool: the checkpoint that its measurement belongs to, once it is scored.
        to_confirm: measured to confirm a place, and not for an entry.
        is_repeat: another entry of the same checkpoint stands on the board.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Being graded")
        SCORED = "scored", _("Scored")
        REJECTED = "rejected", _("Rejected")
        FAILED = "failed", _("System fault")
        CANCELLED = "cancelled", _("Cancelled")

    UNFINISHED = (Status.QUEUED, Status.RUNNING)

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
        "Score", models.SET_NULL, null=True, blank=True, related_name="current_for"
    )
    is_current = models.BooleanField(_("current"), default=True)
    batch = models.ForeignKey(
        "Batch", models.PROTECT, null=True, blank=True, related_name="evaluations"
    )
    held_until = models.DateTimeField(null=True, blank=True)
    only_worker = models.ForeignKey(
        Worker, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    review_until = models.DateTimeField(null=True, blank=True)
    flags = models.JSONField(default=list, blank=True)
    site_checks = models.JSONField(default=list, blank=True)
    pool = models.ForeignKey(
        "Pool", models.SET_NULL, null=True, blank=True, related_name="evaluations"
    )
    to_confirm = models.BooleanField(default=False)
    is_repeat = models.BooleanField(default=False)
    started = models.DateTimeField(_("started"), null=True, blank=True)
    finished = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = EvaluationQuerySet.as_manager()

    class Meta:
        verbose_name = _("evaluation")
        verbose_name_plural = _("evaluations")
        indexes = [
            models.Index(fields=["status", "is_checked", "-priority", "id"], name="claim_order"),
            models.Index(
                fields=["lease_until"], name="running_leases", condition=models.Q(status="running")
            ),
            models.Index(
                fields=["held_until"],
                name="held_entries",
                condition=models.Q(held_until__isnull=False),
            ),
            models.Index(
                fields=["review_until"],
                name="under_review",
                condition=models.Q(review_until__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(status="scored") | models.Q(score__isnull=False),
                name="scored_has_a_score",
            ),
            models.UniqueConstraint(
                fields=["submission"],
                condition=models.Q(is_current=True),
                name="one_current_evaluation_per_submission",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.submission_id}/{self.pk} {self.status}"

    @property
    def is_finished(self) -> bool:
        return self.status not in self.UNFINISHED


class Attempt(models.Model):
    """One run of an evaluation on one worker.

    Attributes:
        stages: how long each stage took (``grader.protocol.documents.StageTime``), once the worker has
            reported.
        base_times: the base model's median time of a round in seconds, by load shape, likewise.
    """

    evaluation = models.ForeignKey(Evaluation, models.CASCADE, related_name="attempts")
    number = models.IntegerField(_("attempt"))
    worker = models.ForeignKey(Worker, models.SET_NULL, null=True, related_name="attempts")
    started = models.DateTimeField(_("started"), db_default=Now())
    ended = models.DateTimeField(_("ended"), null=True)
    outcome = models.CharField(_("outcome"), max_length=20, blank=True)
    problems = models.JSONField(_("problems"), default=list)
    log = models.TextField(_("log tail"), blank=True)
    stages = models.JSONField(default=list)
    base_times = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = [
            models.UniqueConstraint(fields=["evaluation", "number"], name="attempt_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.evaluation_id}.{self.number} {self.outcome}"


class Transition(Created):
    """One change of an evaluation's status. Append-only.

    Attributes:
        code, parameters: why; :attr:`reason` renders it in the reader's language.
    """

    class Code(models.TextChoices):
        SUBMITTED = "submitted", _("submitted")
        CHECKED = "checked", _("checked")
        ATTEMPT = "attempt", _("attempt %(n)s")
        ATTEMPT_FAILED = "attempt_failed", _("attempt %(n)s failed: %(codes)s")
        ATTEMPT_LOST = "attempt_lost", _("attempt %(n)s lost: %(codes)s")
        PUT_BACK = "put_back", _("put back after attempt %(n)s")
        SCORED = "scored", "%(score)s"
        PROBLEMS = "problems", "%(codes)s"
        OUTDATED = "outdated", _("measured under old rules; now %(version)s")
        RULES = "rules", _("rules %(version)s")
        BATCH = "batch", _("batch %(n)s: %(why)s")
        UNMEASURED = "unmeasured", _("not measured in batch %(n)s")
        POOLED = "pooled", _("pool of evaluations %(numbers)s")
        CONFIRM = "confirm", _("measured again to confirm a place")
        TEXT = "text", "%(text)s"  # rows older than the codes, and none of the above

    evaluation = models.ForeignKey(Evaluation, models.CASCADE, related_name="transitions")
    old = models.CharField(_("from"), max_length=10, blank=True)
    new = models.CharField(_("to"), max_length=10)
    code = models.CharField(_("reason"), max_length=20, choices=Code, blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    by = models.CharField(_("by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("transition")
        verbose_name_plural = _("transitions")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.old} → {self.new}"

    @property
    def reason(self) -> str:
        return say(self.Code, self.code, self.parameters)


class Result(Created):
    """What the counted attempt measured. At most one per evaluation.

    Attributes:
        report: without its questions and tensors, which are in ``ScoreInputs`` and ``SharedInput``;
            ``lifecycle.whole_report`` puts them together.
        is_packed: whether the report is stored that way. False if it is stored as it arrived; null if an
            older release stored it so, and it will be packed.
    """

    evaluation = models.OneToOneField(Evaluation, models.CASCADE, primary_key=True)
    attempt = models.IntegerField()
    report = models.JSONField()
    is_packed = models.BooleanField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["evaluation"],
                name="reports_to_pack",
                condition=models.Q(is_packed__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return str(self.evaluation_id)


@dataclass(frozen=True, slots=True)
class PartScore:
    """A score over one part of the questions: what a board shows. Ranks also need ``Score.replicates``."""

    value: float
    half_width: float
    terms: list[dict[str, Any]]
    speedup: float
    accuracy: float
    safetensors_bytes: int


class Score(Created):
    """The formula applied to a result. Rescoring appends; the evaluation points to the current one.

    Every benchmark's questions are split into a public and a private part. The plain columns are the *public*
    score, so careless code shows nothing secret. The private one is read only through ``of("private")``, by the
    pages that a reveal opens.

    Attributes:
        team: the submission's; duplicated so that an index gives a team's best without reading other rows.
        terms: ``grader.scoring.score.Term`` per term, with ``points``.
        replicates: 1,000 bootstrap replicates of ``value``, float32, drawn over the same questions for every
            team, so that ranks and ties can compare them (``grader.scoring.ranking``). 4 kB, so lists defer
            them.
        private: value, half_width, terms, speedup and accuracy on the private questions; null where the
            contest has none.
        private_replicates: likewise.
    """

    evaluation = models.ForeignKey(Evaluation, models.CASCADE, related_name="scores")
    version = models.ForeignKey(ContestVersion, models.PROTECT, related_name="+")
    formula = models.CharField(max_length=40)
    value = models.FloatField(_("score"))
    half_width = models.FloatField()
    team = models.ForeignKey(
        Team, models.PROTECT, null=True, db_index=False, editable=False, related_name="+"
    )
    terms = models.JSONField()
    safetensors_bytes = models.BigIntegerField()
    speedup = models.FloatField()
    accuracy = models.FloatField()
    replicates = models.BinaryField(default=bytes)
    private = models.JSONField(null=True)
    private_replicates = models.BinaryField(default=bytes)
    reason = models.CharField(max_length=200, blank=True)
    by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = _("score")
        verbose_name_plural = _("scores")
        indexes = [
            models.Index(fields=["team", "-value", "safetensors_bytes"], name="best_of_a_team")
        ]

    def __str__(self) -> str:
        return f"{self.value:.4f}"

    def of(self, part: Part) -> PartScore:
        """The score over ``public`` or ``private`` questions; the same where all questions are public."""
        if part == "private" and self.private is not None:
            return PartScore(safetensors_bytes=self.safetensors_bytes, **self.private)
        return PartScore(**{name: getattr(self, name) for name in PartScore.__slots__})
