"""Entries in the final: those a team chose, or those that count by public score if it chose none."""

from __future__ import annotations

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q

from leaderboard.models import Contest, Evaluation, FinalChoice, Team


def going(contest: Contest, may_stand: Q, team: Team | None = None) -> dict[int, list[int]]:
    """Team → its submissions in the final, at most ``limits.final_entries``; in two queries.

    Not choosing gives no advantage, because the default uses the score that the team could see.

    Args:
        may_stand: a condition on evaluations: scored, not ruled out.
        team: only this one.
    """
    teams = Team.objects.filter(contest=contest)
    if team is not None:
        teams = teams.filter(pk=team.pk)
    chosen: dict[int, list[int]] = {}
    choices = FinalChoice.objects.filter(team__in=teams).order_by("pk")
    for team_id, submission_id in choices.values_list("team", "submission"):
        chosen.setdefault(team_id, []).append(submission_id)
    _stand_for_repeats(chosen)
    order = ["-score__value", "score__safetensors_bytes", "submission__created"]
    if contest.rules.scoring.counts == "last":
        order = ["-submission__created"]
    best = (
        Evaluation.objects.filter(may_stand, score__team=OuterRef("pk"))
        .order_by(*order)
        .values("submission")[: contest.rules.limits.final_entries]
    )
    others = teams.exclude(pk__in=chosen).annotate(best=ArraySubquery(best))
    return chosen | {pk: list(found) for pk, found in others.values_list("pk", "best") if found}


def _stand_for_repeats(chosen: dict[int, list[int]]) -> None:
    """Replace a repeated checkpoint by the entry that stands on the board for it."""
    entries = [entry for found in chosen.values() for entry in found]
    repeats = Evaluation.objects.current().filter(is_repeat=True, submission__in=entries)
    first = dict(repeats.values_list("submission", "pool__first"))
    for team, found in chosen.items():
        chosen[team] = list(dict.fromkeys(first.get(entry, entry) for entry in found))
