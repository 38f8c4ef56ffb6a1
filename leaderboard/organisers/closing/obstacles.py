"""What has to be done before a contest can be finalized."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from leaderboard.board import ranking
from leaderboard.contests import phases
from leaderboard.core.errors import Refused
from leaderboard.models import Batch, Contest, Evaluation, Submission

PRIZES = 3  # ranks that are not given while staff have yet to look at their entries


def obstacles(contest: Contest) -> list[Refused]:
    """Everything that prevents finalizing, as the errors it would raise."""
    return list(_look(contest))


def _look(contest: Contest) -> Iterator[Refused]:
    if contest.finalised_at is not None:
        yield Refused("CLOSING_FINAL")
        return
    rules, now = contest.rules, timezone.now()
    end = max(phase.end for phase in rules.phases) + timedelta(seconds=rules.limits.upload_grace_s)
    if end > now:
        yield Refused("CLOSING_PHASE", until=_shown(contest, end))
    choosing = phases.choosing_until(contest)
    if choosing and choosing > now:
        yield Refused("CLOSING_CHOOSING", until=_shown(contest, choosing))
    unfinished = Evaluation.objects.unfinished().of_contest(contest).without_selftest()
    if count := unfinished.count():
        yield Refused("CLOSING_QUEUE", count=count)
    undecided = contest.batches.filter(status__in=Batch.OPEN).order_by("pk")
    if batches := [f"#{pk}" for pk in undecided.values_list("pk", flat=True)]:
        yield Refused("CLOSING_BATCH", batches=", ".join(batches))
    if contest.pending is not None:
        yield Refused("CLOSING_PENDING", version=contest.pending)
    if held := [f"#{pk}" for pk in _held_prizes(contest)]:
        yield Refused("CLOSING_HELD", entries=", ".join(held))
    scored = Evaluation.objects.current().scored().of_contest(contest)
    if not scored.filter(submission__kind=Submission.Kind.TEAM).exists():
        yield Refused("CLOSING_EMPTY")


def _held_prizes(contest: Contest) -> list[int]:
    """Entries under review in the first places of the final board."""
    final = ranking.board(contest, "private", with_hidden=True, only_final=True)
    return [entry.submission_id for entry in final.ranked if entry.held and entry.rank <= PRIZES]


def _shown(contest: Contest, moment: datetime) -> str:
    return f"{moment.astimezone(ZoneInfo(contest.rules.timezone)):%Y-%m-%d %H:%M %Z}"
