"""Scores over time: the best scores of the top teams and one's own."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.vary import vary_on_headers

from leaderboard.board import cached, ranking
from leaderboard.board.documents import history_json
from leaderboard.contests import phases
from leaderboard.submissions import queries
from leaderboard.views.board_files import asked, per_reader


@per_reader
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """The chart's frame, with a table of the same data as its text alternative."""
    shown = asked(request, slug)
    team = queries.team_of(request.user, shown.contest)
    context = {
        "contest": shown.contest,
        "rules": shown.contest.rules,
        "board": shown,
        "lines": cached.lines(shown, team.pk if team else None),
        "team": team,
        "sees_private": ranking.private_view(request.user, shown.contest) is not None,
        "is_revealed": phases.is_revealed(shown.contest),
    }
    return render(request, "leaderboard/board_history.html", context)


@per_reader
@vary_on_headers("Cookie")
def data(request: HttpRequest, slug: str) -> HttpResponse:
    """The chart's data, for the page's script; times in ms since 1970."""
    shown = asked(request, slug)
    team = queries.team_of(request.user, shown.contest)
    document = history_json(shown, cached.lines(shown, team.pk if team else None))
    for line in document["lines"]:
        line["mine"] = bool(team and line["team"] == team.name)
        line["steps"] = [
            {**step, "at": int(step["at"].timestamp() * 1000)} for step in line["steps"]
        ]
    marks = [entry for entry in (shown.base, shown.reference) if entry]
    document["marks"] = [{"name": e.entrant, "score": e.score.value} for e in marks]
    return JsonResponse(document)
