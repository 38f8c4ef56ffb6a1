"""The site's URLs and two more: a view that does nothing, and one that only looks up the user."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from leaderboard.urls import urlpatterns as site


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


urlpatterns = [*site, path("empty/", empty), path("who/", who)]
