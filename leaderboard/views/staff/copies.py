"""Entries of several teams that have something in common."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from leaderboard.submissions import copies
from leaderboard.views.contest import find
from leaderboard.views.staff.access import staff_only


@staff_only
def page(request: HttpRequest, slug: str) -> HttpResponse:
    contest = find(slug)
    context = {"contest": contest, "groups": copies.of_contest(contest)}
    return render(request, "leaderboard/staff/copies.html", context)
