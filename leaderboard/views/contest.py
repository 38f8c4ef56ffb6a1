"""Contest pages: home, rules, problem codes."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import get_language

from grader.problems.catalogue import CATALOGUE, Kind, Stage
from leaderboard.board import cached
from leaderboard.contests import example, phases, rules_text
from leaderboard.models import Contest
from leaderboard.submissions import queries, quota


def find(slug: str) -> Contest:
    """A contest with its rules loaded, or 404."""
    return get_object_or_404(Contest.objects.in_force(), slug=slug)


def home(request: HttpRequest) -> HttpResponse:
    """The contests, their dates, and what this person does next."""
    contests = list(Contest.objects.listed().order_by("slug"))
    context: dict[str, Any] = {"cards": [_card(request.user, contest) for contest in contests]}
    if len(contests) == 1:
        context["contest"] = contests[0]
    return render(request, "leaderboard/home.html", context)


def contest_rules(request: HttpRequest, slug: str) -> HttpResponse:
    """The organizers' text, then the rules from the contest file, then a worked example."""
    contest = find(slug)
    context = {
        "contest": contest,
        "rules": contest.rules,
        "prose": rules_text.of(contest.rules, get_language() or "en"),
        "example": example.of(contest.rules),
    }
    return render(request, "leaderboard/rules.html", context)


def problem_list(request: HttpRequest) -> HttpResponse:
    """Every problem code with its sentence and hint, searchable with ``?q=``."""
    search = request.GET.get("q", "").replace("\0", "").strip()[:80]
    found = {code: kind for code, kind in sorted(CATALOGUE.items()) if _matches(code, kind, search)}
    groups = [(stage, [row for row in found.items() if row[1].stage == stage]) for stage in Stage]
    context = {
        "groups": [group for group in groups if group[1]],
        "search": search,
        "found": len(found),
        "all": len(CATALOGUE),
    }
    return render(request, "leaderboard/problems.html", context)


def _matches(code: str, kind: Kind, search: str) -> bool:
    """Every word of the search is in the code, the sentence or the hint, in either language."""
    text = f"{code} {kind.sentence.en} {kind.hint.en} {kind.sentence.ko} {kind.hint.ko}".casefold()
    return all(word in text for word in search.casefold().split())


def _card(user: User | AnonymousUser, contest: Contest) -> dict[str, Any]:
    team = queries.team_of(user, contest)
    shown = cached.leading(user, contest)
    return {
        "contest": contest,
        "rules": contest.rules,
        "team": team,
        "quota": quota.of(team) if team else None,
        "mine": shown.of_team(team.pk) if team else None,
        "teams": len(shown.ranked),
        "best": next(iter(shown.ranked), None),
        "is_open": phases.accepts(contest) is not None,
        "is_revealed": phases.is_revealed(contest),
    }
