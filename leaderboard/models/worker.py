"""GPU boxes, and the A/A tests that show whether to trust one. Written only by ``leaderboard.workers``."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from grader.protocol import worker as protocol
from leaderboard.models.base import Created
from leaderboard.models.contest import Contest, ContestVersion
from leaderboard.models.token import Token

# An idle worker polls every 30 s; a busy one is heard from more often.
LOST_AFTER = timedelta(minutes=2)


class WorkerQuerySet(models.QuerySet["Worker"]):
    """Being alive and accepting work are separate: a drained worker keeps polling."""

    def registered(self) -> WorkerQuerySet:
        """Not retired."""
        return self.filter(revoked__isnull=True)

    def alive(self) -> WorkerQuerySet:
        """Heard from recently, by the database's clock."""
        return self.registered().filter(last_seen__gt=Now() - LOST_AFTER)

    def accepting(self) -> WorkerQuerySet:
        """Gets new work when it polls: neither drained nor retired."""
        return self.registered().filter(drained__isnull=True)


class Worker(Token):
    """A GPU box. What it reports about itself is stored each time it polls.

    Attributes:
        device_name: of the GPU, or of the CPU where there is none.
        memory_bytes, compute_capability: of the device that computes, of the least of several GPUs;
            0 if unknown or a CPU.
        gpu_count: GPUs it may use.
        contests: contest id → sha256 of the contest files it has.
        boot: changes each time the worker's process starts; ``booted`` is when that was noticed.
        drained: since when it gets no new work; ``drain_reason`` says why.
    """

    device = models.CharField(_("device"), max_length=protocol.DEVICE_CHARS, blank=True)
    device_name = models.CharField(
        _("device name"), max_length=protocol.DEVICE_NAME_CHARS, blank=True
    )
    memory_bytes = models.BigIntegerField(_("memory"), default=0)
    compute_capability = models.FloatField(_("compute capability"), default=0.0)
    gpu_count = models.PositiveSmallIntegerField(_("GPUs"), default=1)
    sandbox = models.CharField(_("sandbox"), max_length=protocol.SANDBOX_CHARS, blank=True)
    versions = models.JSONField(_("versions"), default=dict, blank=True)
    contests = models.JSONField(default=dict, blank=True)
    boot = models.CharField(max_length=protocol.BOOT_CHARS, blank=True)
    booted = models.DateTimeField(_("started"), null=True, blank=True, editable=False)
    last_seen = models.DateTimeField(_("last seen"), null=True, blank=True, editable=False)
    drained = models.DateTimeField(_("drained since"), null=True, blank=True, editable=False)
    drain_reason = models.CharField(_("reason"), max_length=300, blank=True, editable=False)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(revoked__isnull=True),
                name="worker_name_once_among_the_living",
            )
        ]

    def get_absolute_url(self) -> str:
        return reverse("desk_worker", args=[self.pk])

    def is_lost(self, now: datetime) -> bool:
        """Not heard from recently, or never: the opposite of :meth:`WorkerQuerySet.alive`."""
        return self.last_seen is None or now - self.last_seen > LOST_AFTER


class AARun(Created):
    """The base model against itself on one worker, by one contest's speed protocol.

    Attributes:
        asked_by: who requested it; empty for the schedule.
        work: equal for tests whose absolute times may be compared (``grader.scoring.aa.work_id``).
        outcomes: ``grader.scoring.aa.Outcome`` per load shape.
        problems: why it did not pass (``grader.problems.catalogue.Problem``).
        report: ``grader.protocol.documents.AAReport``, as it arrived.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        PASSED = "passed", _("passed")
        FAILED = "failed", pgettext_lazy("A/A test", "failed")
        LOST = "lost", _("lost")

    OPEN = (Status.WAITING, Status.RUNNING)

    worker = models.ForeignKey(Worker, models.CASCADE, related_name="aa_runs")
    contest = models.ForeignKey(Contest, models.CASCADE, related_name="+")
    version = models.ForeignKey(ContestVersion, models.PROTECT, related_name="+")
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.WAITING)
    asked_by = models.CharField(_("by"), max_length=150, blank=True)
    started = models.DateTimeField(_("started"), null=True)
    finished = models.DateTimeField(_("finished"), null=True)
    lease_until = models.DateTimeField(null=True)
    progress = models.JSONField(default=dict)
    work = models.CharField(max_length=24, blank=True)
    outcomes = models.JSONField(default=list)
    problems = models.JSONField(_("problems"), default=list)
    log = models.TextField(_("log tail"), blank=True)
    report = models.JSONField(null=True)

    class Meta:
        verbose_name = _("A/A test")
        verbose_name_plural = _("A/A tests")
        indexes = [models.Index(fields=["worker", "contest", "-id"], name="aa_latest")]
        constraints = [
            models.UniqueConstraint(
                fields=["worker", "contest"],
                condition=models.Q(status__in=("waiting", "running")),
                name="one_open_aa_run_per_worker_and_contest",
            )
        ]

    def __str__(self) -> str:
        return f"A/A {self.pk} {self.worker} {self.status}"

    @property
    def passed(self) -> bool:
        return self.status == self.Status.PASSED
