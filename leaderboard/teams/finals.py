"""Choosing the entries for the final; a team that chooses none sends its best by public score."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db import transaction

from leaderboard.board import ranking
from leaderboard.contests import phases
from leaderboard.core.errors import Refused
from leaderboard.lifecycle import board_moves
from leaderboard.models import Evaluation, FinalChoice, Submission, Team, TeamEvent
from leaderboard.submissions import queries
from leaderboard.teams.rules import note, require_member


def choose(team: Team, submissions: Iterable[int], by: User) -> None:
    """Make exactly these (submission keys) the team's entries in the final; none restores the default.

    Any member may, until the date in the contest file; the latest choice counts.

    Raises:
        Refused: not a member, too late, too many, or an entry that cannot be chosen. Nothing was changed.
    """
    wanted = sorted(set(submissions))
    with transaction.atomic():
        board_moves(team.contest_id)
        row = (
            Team.objects.unmerged()
            .select_for_update(of=("self",))
            .select_related("contest__version")
            .filter(pk=team.pk)
            .first()
        )
        if row is None:
            raise Refused("TEAM_GONE")
        require_member(row, by)
        if not phases.may_choose(row.contest):
            raise Refused("TEAM_FINAL_CLOSED")
        limit = row.contest.rules.limits.final_entries
        if len(wanted) > limit:
            raise Refused("TEAM_FINAL_MANY", f"{len(wanted)} > {limit}")
        possible = {entry.submission_id for entry in choosable(row)}
        if strangers := set(wanted) - possible:
            numbers = ", ".join(f"#{pk}" for pk in sorted(strangers))
            raise Refused("TEAM_FINAL_ENTRY", numbers)
        before = set(row.final_choices.values_list("submission", flat=True))
        if before == set(wanted):
            return
        row.final_choices.exclude(submission__in=wanted).delete()
        FinalChoice.objects.bulk_create(
            FinalChoice(team=row, submission_id=pk, by=by.get_username()[:150])
            for pk in wanted
            if pk not in before
        )
        note(row, TeamEvent.Kind.FINAL, by, ", ".join(f"#{pk}" for pk in wanted) or "–")


def choosable(team: Team) -> list[Evaluation]:
    """The team's evaluations that may go to the final, best first."""
    standing = ranking.standing_evaluations(team.contest, with_hidden=True)
    mine = standing.filter(submission__team=team, submission__kind=Submission.Kind.TEAM)
    return list(
        mine.select_related("score", "submission").order_by(
            "-score__value", "score__safetensors_bytes", "submission__created"
        )
    )


def by_shown_score(team: Team, *, exact: bool) -> list[Evaluation]:
    """The same, each with ``shown``, its score as this reader sees it, and ordered by that."""
    found = choosable(team)
    for row in found:
        row.shown = queries.figures_of(row, team.contest, exact=exact)  # type: ignore[attr-defined]
    return sorted(found, key=lambda row: row.shown.value, reverse=True)  # type: ignore[attr-defined]
