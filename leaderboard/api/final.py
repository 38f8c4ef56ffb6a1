"""A team's entries in the final: what goes now, and choosing others."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema

from leaderboard import teams
from leaderboard.api.auth import UserToken
from leaderboard.board import ranking
from leaderboard.contests import phases
from leaderboard.core.errors import Refused
from leaderboard.models import Contest, Team
from leaderboard.submissions import queries

router = Router(tags=["participant"])
Key = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Choice(Schema):
    """Submissions of one's team; none: its best by public score go."""

    submissions: Annotated[list[Key], Field(max_length=1000)]


class Final(Schema):
    """``going``: the entries in the final as things stand; ``chosen``: whether the team chose them."""

    going: list[int]
    chosen: bool
    limit: int
    may_choose: bool
    until: datetime | None


@router.get("/contests/{slug}/final", auth=UserToken("read"), response=Final)
def final(request: HttpRequest, slug: str) -> dict[str, Any]:
    return _about(_team(request, slug))


@router.put("/contests/{slug}/final", auth=UserToken("submit"), response=Final)
def choose(request: HttpRequest, slug: str, choice: Choice) -> dict[str, Any]:
    """Send exactly these submissions to the final."""
    team = _team(request, slug)
    teams.choose(team, choice.submissions, request.auth)  # type: ignore[attr-defined]
    return _about(team)


def _about(team: Team) -> dict[str, Any]:
    contest = team.contest
    return {
        "going": ranking.final_entries(contest, team).get(team.pk, []),
        "chosen": team.final_choices.exists(),
        "limit": contest.rules.limits.final_entries,
        "may_choose": phases.may_choose(contest),
        "until": phases.choosing_until(contest),
    }


def _team(request: HttpRequest, slug: str) -> Team:
    loaded = Contest.objects.in_force()
    contest = get_object_or_404(loaded, slug=slug)
    found = queries.team_of(request.auth, contest)  # type: ignore[attr-defined]
    if found is None:
        raise Refused("UPLOAD_NO_TEAM")
    found.contest = contest
    return found
