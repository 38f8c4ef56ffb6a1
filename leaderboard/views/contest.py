"""Contest pages: home, rules, problem codes."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from grader.problems import CATALOGUE, Stage
from leaderboard.models import Contest


def find(slug: str) -> Contest:
    """A contest with its rules loaded, or 404."""
    loaded = Contest.objects.select_related("version").filter(version__isnull=False)
    return get_object_or_404(loaded, slug=slug)


def home(request: HttpRequest) -> HttpResponse:
    contests = list(
        Contest.objects.select_related("version")
        .filter(version__isnull=False, is_listed=True)
        .order_by("slug")
    )
    if len(contests) == 1:
        return redirect(contests[0])
    return render(request, "leaderboard/home.html", {"contests": contests})


def contest_rules(request: HttpRequest, slug: str) -> HttpResponse:
    contest = find(slug)
    return render(request, "leaderboard/rules.html", {"contest": contest, "rules": contest.rules})


def problem_list(request: HttpRequest) -> HttpResponse:
    """Every problem code with its sentence and hint: the FAQ of failures."""
    groups = [
        (
            stage,
            [
                (code, CATALOGUE[code])
                for code in sorted(CATALOGUE)
                if CATALOGUE[code].stage == stage
            ],
        )
        for stage in Stage
    ]
    return render(request, "leaderboard/problems.html", {"groups": [g for g in groups if g[1]]})
