"""A contest's clock for the desk: the current phase, the next scheduled event, and what waits for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from grader.contest import Phase
from leaderboard.models import Contest, Evaluation, Submission


@dataclass(frozen=True, slots=True)
class Event:
    """An event that happens automatically."""

    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    """One contest: the current phase (None between phases), the next event, and actions that wait for staff."""

    contest: Contest
    phase: Phase | None
    next: Event | None
    acts: list[str]


def schedule(contests: list[Contest]) -> list[Schedule]:
    """In the given order, with two queries for all of them."""
    now = timezone.now()
    with_base = set(
        Submission.objects.filter(contest__in=contests, kind=Submission.Kind.BASE).values_list(
            "contest", flat=True
        )
    )
    busy = set(
        Evaluation.objects.unfinished()
        .filter(submission__contest__in=contests)
        .values_list("submission__contest", flat=True)
    )
    return [
        Schedule(
            contest,
            contest.rules.phase_at(now),
            min(
                (event for event in _events(contest) if event.at > now),
                key=lambda event: event.at,
                default=None,
            ),
            _acts(contest, now, contest.slug in with_base, contest.slug in busy),
        )
        for contest in contests
    ]


def _events(contest: Contest) -> list[Event]:
    found = []
    for phase in contest.rules.phases:
        name = {"phase": phase.title(get_language() or "en")}
        found.append(Event(_("%(phase)s begins") % name, phase.start))
        found.append(Event(_("%(phase)s ends") % name, phase.end))
        if phase.freeze:
            found.append(Event(_("The public board freezes"), phase.freeze))
        if phase.select_until:
            found.append(Event(_("Final selection closes"), phase.select_until))
    return found


def _acts(contest: Contest, now: datetime, has_base: bool, is_busy: bool) -> list[str]:
    found = []
    if not has_base:
        found.append(_("Submit the base model and the references: manage.py publish_baselines"))
    if contest.pending_id is not None:
        found.append(_("A new version of the rules is waiting for its batch"))
    if not contest.is_open and contest.rules.phase_at(now):
        found.append(_("A phase is running, but submissions are switched off"))
    is_over = all(phase.end <= now for phase in contest.rules.phases)
    if is_over and is_busy:
        found.append(_("All phases are over; wait until the queue is empty"))
    elif is_over and contest.finalised_at is None:
        found.append(_("All phases are over; reveal the private board and finalize"))
    elif contest.finalised_at is not None and contest.revealed_at is None:
        found.append(_("The result is final; reveal the private board"))
    return found
