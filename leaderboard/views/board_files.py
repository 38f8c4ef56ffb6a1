"""Files that a board's page and other programs fetch: the points of its chart, its exports.

``?part=private`` requests the private board: for staff at any time, for everybody once revealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import condition

from grader.scoring.parts import Part
from leaderboard.board import cached
from leaderboard.board.export import csv_lines, json_lines
from leaderboard.models import Contest

# The content depends on the reader: staff see a board before it is revealed. So only the reader's own
# browser may cache it, and must revalidate.
per_reader = cache_control(private=True, no_cache=True)


def asked(request: HttpRequest, slug: str) -> cached.Shown:
    """The board that the URL and ``?part=`` name, for this person.

    Raises:
        Http404: there is none, or this person may not see it yet.
    """
    part: Part = "private" if request.GET.get("part") == "private" else "public"
    try:
        shown = cached.of_part(request.user, cached.contest(slug), part)
    except Contest.DoesNotExist:
        raise Http404 from None
    if shown is None:
        raise Http404
    return shown


def etag(request: HttpRequest, slug: str) -> str:
    return f'"{hashlib.sha256(cached.state(asked(request, slug)).encode()).hexdigest()[:20]}"'


@per_reader
@condition(etag_func=etag)
def points(request: HttpRequest, slug: str) -> HttpResponse:
    """The chart's data, for the page's script."""
    return HttpResponse(cached.points(asked(request, slug)), content_type="application/json")


@per_reader
@condition(etag_func=etag)
def export_json(request: HttpRequest, slug: str) -> HttpResponseBase:
    shown = asked(request, slug)
    return _download(
        json_lines(shown, cached.public_ranks(shown)), "application/json", _name(shown, "json")
    )


@per_reader
@condition(etag_func=etag)
def export_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    shown = asked(request, slug)
    lines = csv_lines(shown, cached.public_ranks(shown))
    return _download(lines, "text/csv; charset=utf-8", _name(shown, "csv"))


def _name(shown: cached.Shown, ending: str) -> str:
    part = "" if shown.part == "public" else f"-{shown.part}"
    return f"{shown.contest.slug}{part}-board.{ending}"


def _download(lines: Iterator[str], content_type: str, name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
