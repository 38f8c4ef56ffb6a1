"""A team's entries in the final: reading the current ones and choosing others."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema

from leaderboard import teams
from leaderboard.api.auth import UserToken
from leaderboard.core.errors import Refused
from leaderboard.models import Contest, Team
from leaderboard.submissions import queries
from leaderboard.teams.documents import FinalOut, final_json

router = Router(tags=["participant"])
Key = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Choice(Schema):
    """Submissions of the team; an empty list sends its best by public score."""

    submissions: Annotated[list[Key], Field(max_length=1000)]


@router.get("/contests/{slug}/final", auth=UserToken("read"), response=FinalOut)
def final(request: HttpRequest, slug: str) -> dict[str, Any]:
    return final_json(_team(request, slug))


@router.put("/contests/{slug}/final", auth=UserToken("submit"), response=FinalOut)
def choose(request: HttpRequest, slug: str, choice: Choice) -> dict[str, Any]:
    """Send exactly these submissions to the final."""
    team = _team(request, slug)
    teams.choose(team, choice.submissions, request.auth)  # type: ignore[attr-defined]
    return final_json(team)


def _team(request: HttpRequest, slug: str) -> Team:
    loaded = Contest.objects.in_force()
    contest = get_object_or_404(loaded, slug=slug)
    found = queries.team_of(request.auth, contest)  # type: ignore[attr-defined]
    if found is None:
        raise Refused("UPLOAD_NO_TEAM")
    found.contest = contest
    return found
