"""A team's quota: counted from the rows, per day in the contest's time zone, never from a counter.

A submission that was graded, or still may be, costs one of ``submissions_per_day``; one that was rejected or
withdrawn costs one of ``rejections_per_day`` instead; a system fault and a held duplicate cost nothing.
Organizers can grant more for a day.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Case, F, OuterRef, Subquery, Sum, Value, When
from django.utils import timezone

from leaderboard.core import audit
from leaderboard.models import Evaluation, QuotaGrant, Team

Status = Evaluation.Status


@dataclass(frozen=True, slots=True)
class Quota:
    """What a team has used today; ``resets`` is when the next day begins."""

    used: int
    limit: int
    rejected: int
    rejected_limit: int
    resets: datetime

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def is_open(self) -> bool:
        return self.left > 0 and self.rejected < self.rejected_limit


def of(team: Team) -> Quota:
    """The team's current quota."""
    rules = team.contest.rules
    begins, resets = day_of(timezone.now(), ZoneInfo(rules.timezone))
    withdrawn = When(status=Status.CANCELLED, problems=[], then=Value(Status.REJECTED.value))
    current = Evaluation.objects.current().filter(submission=OuterRef("pk"))
    costs = current.annotate(costs=Case(withdrawn, default=F("status"))).values("costs")
    today = team.submissions.filter(created__gte=begins).annotate(costs=Subquery(costs))
    counts = Counter(today.values_list("costs", flat=True))
    granted = team.quota_grants.filter(day=begins.date()).aggregate(sum=Sum("extra"))["sum"] or 0
    return Quota(
        used=counts[Status.QUEUED] + counts[Status.RUNNING] + counts[Status.SCORED],
        limit=rules.limits.submissions_per_day + granted,
        rejected=counts[Status.REJECTED],
        rejected_limit=rules.limits.rejections_per_day,
        resets=resets,
    )


def grant(team: Team, extra: int, *, by: User, reason: str) -> QuotaGrant:
    """Give a team ``extra`` more submissions today, and audit it.

    Raises:
        ValueError: not a positive number, or no reason.
    """
    if extra < 1 or not reason.strip():
        raise ValueError("a grant needs a number of at least 1 and a reason")
    begins, _ = day_of(timezone.now(), ZoneInfo(team.contest.rules.timezone))
    with transaction.atomic():
        row = QuotaGrant.objects.create(
            team=team, day=begins.date(), extra=extra, reason=reason.strip()[:200]
        )
        after = {"day": row.day, "extra": extra}
        audit.record(
            by, "quota.grant", team, contest=team.contest_id, after=after, reason=row.reason
        )
    return row


def day_of(moment: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start of the local day around ``moment``, and of the next one (23 to 25 hours later)."""
    day = moment.astimezone(zone).date()
    return (
        datetime.combine(day, time.min, zone),
        datetime.combine(day + timedelta(days=1), time.min, zone),
    )
