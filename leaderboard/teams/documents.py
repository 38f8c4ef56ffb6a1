"""JSON documents of a person's teams and of a team's entries in the final."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from ninja import Schema

from leaderboard.board import ranking
from leaderboard.contests import phases
from leaderboard.models import Team


class TeamOut(Schema):
    id: int
    name: str
    contest: str


class MeOut(Schema):
    user: str
    teams: list[TeamOut]


class FinalOut(Schema):
    """``going``: the current entries in the final; ``chosen``: whether the team chose them."""

    going: list[int]
    chosen: bool
    limit: int
    may_choose: bool
    until: datetime | None


def me_json(user: User) -> dict[str, Any]:
    teams = [
        TeamOut(id=m.team_id, name=m.team.name, contest=m.contest_id)
        for m in user.memberships.select_related("team")
    ]
    return MeOut(user=user.get_username(), teams=teams).dict()


def final_json(team: Team) -> dict[str, Any]:
    contest = team.contest
    return FinalOut(
        going=ranking.final_entries(contest, team).get(team.pk, []),
        chosen=team.final_choices.exists(),
        limit=contest.rules.limits.final_entries,
        may_choose=phases.may_choose(contest),
        until=phases.choosing_until(contest),
    ).dict()
