"""The board: its page, the points of its picture, its exports."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe
from django.views.decorators.http import condition
from django.views.decorators.vary import vary_on_headers

from leaderboard import boards, queries
from leaderboard.arrangement import FRONT, PAGE, Arrangement
from leaderboard.exports import csv_lines, json_lines
from leaderboard.queries import Entry
from leaderboard.views.contest import find


@vary_on_headers("HX-Request")
def board(request: HttpRequest, slug: str) -> HttpResponse:
    """The whole page, or only the ranking when htmx asks."""
    contest = find(slug)
    shown = boards.seen_by(request.user, contest)
    team = queries.team_of(request.user, contest)
    context = {
        "contest": contest,
        "rules": contest.rules,
        "board": shown,
        "queue": boards.queue(contest),
        "team": team,
        **_ranking(shown, Arrangement.asked(request.GET), shown.of_team(team)),
    }
    name = "_ranking" if request.htmx else "board"  # type: ignore[attr-defined]
    return render(request, f"leaderboard/{name}.html", context)


def _ranking(shown: boards.Shown, arrangement: Arrangement, mine: Entry | None) -> dict[str, Any]:
    front = boards.front(shown) if arrangement.only == FRONT else frozenset()
    chosen = arrangement.choose(shown.entries, front)
    page = arrangement.cut(chosen)
    html = boards.rows(shown)
    pages = arrangement.pages(len(chosen))
    rows = [html[entry.submission_id] for entry in page]
    mine_is_here = mine in page
    if mine and mine_is_here:
        at = page.index(mine)
        rows[at] = _marked(rows[at])
    elif mine and arrangement.page:
        rows.append(_marked(html[mine.submission_id]))
    return {
        "arrangement": arrangement,
        "rows": mark_safe("".join(rows)),  # noqa: S308 - made by templates
        "found": len(chosen),
        "pages": pages,
        "page": min(max(1, arrangement.page), pages),
        "page_links": [(n, arrangement.query(page=n)) for n in range(1, pages + 1)],
        "all_link": arrangement.query(page=0),
        "mine": mine,
        "way_to_mine": "" if mine_is_here else _page_of(mine, shown.entries),
    }


def _page_of(mine: Entry | None, entries: Sequence[Entry]) -> str:
    """The query string of the ranking's page that shows an entry."""
    return Arrangement(page=entries.index(mine) // PAGE + 1).query() if mine else ""


def queue(request: HttpRequest, slug: str) -> HttpResponse:
    """How busy the graders are, for a page that is open already."""
    contest = find(slug)
    context = {"contest": contest, "queue": boards.queue(contest)}
    return render(request, "leaderboard/_queue.html", context)


def _marked(row: str) -> str:
    """A row, told apart as the reader's own."""
    return row.replace('class="entry', 'class="entry mine', 1)


def etag(request: HttpRequest, slug: str) -> str:
    return f'"{hashlib.sha256(boards.seen_by(request.user, find(slug)).key.encode()).hexdigest()[:20]}"'


@condition(etag_func=etag)
def points(request: HttpRequest, slug: str) -> HttpResponse:
    """What the picture shows, for the page's script."""
    shown = boards.seen_by(request.user, find(slug))
    return HttpResponse(boards.points(shown), content_type="application/json")


@condition(etag_func=etag)
def export_json(request: HttpRequest, slug: str) -> HttpResponseBase:
    return _download(
        json_lines(boards.seen_by(request.user, find(slug))),
        "application/json",
        f"{slug}-board.json",
    )


@condition(etag_func=etag)
def export_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    return _download(
        csv_lines(boards.seen_by(request.user, find(slug))),
        "text/csv; charset=utf-8",
        f"{slug}-board.csv",
    )


def _download(lines: Iterator[str], content_type: str, name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
