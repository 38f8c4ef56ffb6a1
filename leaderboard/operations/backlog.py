"""Backlog: the oldest item in every state and queue, and what failed in the last hour."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from grader.problems.catalogue import CATALOGUE, Kind
from leaderboard.models import AARun, Attempt, Delivery, Evaluation

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Line:
    """Items in one state.

    Attributes:
        name: stable; the metric's label.
        patience: an oldest item beyond this age is stuck.
        oldest: since when the oldest item has been in this state; None when there is none.
        submission: of that item, if it is an evaluation.
    """

    name: str
    label: str | Promise
    patience: timedelta
    count: int
    oldest: datetime | None
    submission: int | None = None

    @property
    def age_s(self) -> float:
        """Seconds; 0 when there is none."""
        return (timezone.now() - self.oldest).total_seconds() if self.oldest else 0.0

    @property
    def is_stuck(self) -> bool:
        return self.age_s > self.patience.total_seconds()


@dataclass(frozen=True, slots=True)
class Failure:
    """One problem code of the last hour."""

    code: str
    count: int
    latest_submission: int

    @property
    def kind(self) -> Kind:
        return CATALOGUE[self.code]


def lines() -> list[Line]:
    """Every state in which something can wait, in the order a submission passes through them."""
    Status = Evaluation.Status
    states = {
        "check": Q(status=Status.QUEUED, is_checked=False),
        "wait": Q(status=Status.QUEUED, is_checked=True),
        "running": Q(status=Status.RUNNING),
    }
    counts = Evaluation.objects.aggregate(
        **{f"{name}_n": Count("pk", filter=which) for name, which in states.items()},
        **{
            f"{name}_since": Min("started" if name == "running" else "created", filter=which)
            for name, which in states.items()
        },
        **{f"{name}_submission": Min("submission", filter=which) for name, which in states.items()},
    )
    tests = AARun.objects.filter(status__in=AARun.OPEN).aggregate(
        n=Count("pk"), since=Min("created")
    )
    mails = Delivery.objects.filter(status=Delivery.Status.WAITING).aggregate(
        n=Count("pk"), since=Min("created")
    )
    labels = {
        "check": (_("Being checked"), timedelta(minutes=10)),
        "wait": (_("Waiting for a worker"), HOUR),
        "running": (_("Being graded"), 2 * HOUR),
    }
    found = [
        Line(
            name,
            *labels[name],
            counts[f"{name}_n"],
            counts[f"{name}_since"],
            counts[f"{name}_submission"],
        )
        for name in states
    ]
    found.append(Line("aa", _("A/A tests"), HOUR, tests["n"], tests["since"]))
    found.append(Line("outbox", _("Messages to teams"), HOUR, mails["n"], mails["since"]))
    return found


def failures(span: timedelta = HOUR) -> list[Failure]:
    """Problem codes of recent failures and rejections, most frequent first.

    Covers attempts that broke on our side, and evaluations that were rejected or failed; a code once per
    attempt.
    """
    since = timezone.now() - span
    attempts = Attempt.objects.filter(ended__gte=since, outcome__in=("failed", "lost")).values_list(
        "evaluation__submission", "problems"
    )
    ended = Evaluation.objects.filter(
        finished__gte=since, status__in=(Evaluation.Status.REJECTED, Evaluation.Status.FAILED)
    ).values_list("submission", "problems")
    count: Counter[str] = Counter()
    latest: dict[str, int] = {}
    for rows, is_end in ((attempts, False), (ended, True)):
        for submission, problems in rows.iterator():
            for code in {p["code"] for p in problems if p["code"] in CATALOGUE}:
                if is_end and code.startswith("SYS_") and code != "SYS_ATTEMPTS_EXHAUSTED":
                    continue  # already counted through its attempts
                count[code] += 1
                latest[code] = max(submission, latest.get(code, 0))
    return [Failure(code, n, latest[code]) for code, n in count.most_common()]


def last_score() -> datetime | None:
    """When the latest grade came in."""
    moment: datetime | None = Evaluation.objects.filter(status=Evaluation.Status.SCORED).aggregate(
        latest=Max("finished")
    )["latest"]
    return moment
