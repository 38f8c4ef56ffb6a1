"""The board: its page, the points of its picture, its exports."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import mark_safe
from django.utils.translation import get_language
from django.views.decorators.http import condition
from django.views.decorators.vary import vary_on_headers

from leaderboard import boards, phases, queries
from leaderboard.arrangement import FRONT, PAGE, Arrangement
from leaderboard.exports import csv_lines, json_lines
from leaderboard.models import Contest
from leaderboard.queries import Entry
from leaderboard.remembering import remember
from leaderboard.templatetags.pictures import current_phase

# Stands for the reader's CSRF token in a remembered page; nothing a person writes can hold it.
TOKEN = f"token-{secrets.token_hex(16)}".encode()


@vary_on_headers("HX-Request", "Cookie")
def board(request: HttpRequest, slug: str) -> HttpResponse:
    """The whole page, or only the ranking when htmx asks."""
    contest = _contest(slug)
    shown = boards.seen_by(request.user, contest)
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "leaderboard/_ranking.html", _context(request, shown))
    if request.GET:
        main = render_to_string("leaderboard/_board.html", _context(request, shown), request)
        return render(request, "leaderboard/board.html", _frame(contest) | {"main": main})
    if request.COOKIES.keys() & {settings.SESSION_COOKIE_NAME, "messages"}:
        return _framed(request, shown)
    page = remember(
        f"page:{_state(request, shown)}",
        lambda: _framed(request, shown, csrf_token=TOKEN.decode()).content,
        is_shared=False,
    )
    return HttpResponse(page.replace(TOKEN, get_token(request).encode()))


def _contest(slug: str) -> Contest:
    try:
        return boards.contest(slug)
    except Contest.DoesNotExist:
        raise Http404 from None


def _framed(request: HttpRequest, shown: boards.Shown, **own: str) -> HttpResponse:
    """The plain ranking: remembered but for the frame around it, which knows the person."""
    main = remember(
        f"main:{_state(request, shown)}",
        lambda: render_to_string("leaderboard/_board.html", _context(request, shown), request),
        is_shared=False,
    )
    return render(request, "leaderboard/board.html", _frame(shown.contest) | {"main": main} | own)


def _frame(contest: Contest) -> dict[str, Any]:
    return {"contest": contest, "rules": contest.rules}


def _state(request: HttpRequest, shown: boards.Shown) -> str:
    """Names all that the plain ranking depends on."""
    phase = current_phase(shown.contest.rules)
    team = queries.team_of(request.user, shown.contest)
    return (
        f"{shown.key}:{get_language()}:{team and team.pk}:{boards.queue(shown.contest)}:"
        f"{phase and (phase['phase'].id, phase['state'])}:{shown.contest.accepts_submissions}:"
        f"{shown.contest.is_open}:{shown.contest.version_id}:{phases.is_revealed(shown.contest)}"
    )


def _context(request: HttpRequest, shown: boards.Shown) -> dict[str, Any]:
    contest = shown.contest
    team = queries.team_of(request.user, contest)
    return {
        **_frame(contest),
        "board": shown,
        "queue": boards.queue(contest),
        "team": team,
        "sees_private": queries.private_view(request.user, contest) is not None,
        "is_revealed": phases.is_revealed(contest),
        **_ranking(shown, Arrangement.asked(request.GET), shown.of_team(team)),
    }


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
    contest = _contest(slug)
    context = {"contest": contest, "queue": boards.queue(contest)}
    return render(request, "leaderboard/_queue.html", context)


def _marked(row: str) -> str:
    """A row, told apart as the reader's own."""
    return row.replace('class="entry', 'class="entry mine', 1)


def etag(request: HttpRequest, slug: str) -> str:
    return f'"{hashlib.sha256(boards.seen_by(request.user, _contest(slug)).key.encode()).hexdigest()[:20]}"'


@vary_on_headers("HX-Request", "Cookie")
def private(request: HttpRequest, slug: str) -> HttpResponse:
    """The board over the private questions: staff's at any time, everybody's once revealed."""
    contest = _contest(slug)
    view = queries.private_view(request.user, contest)
    if view is None:
        raise Http404
    context = _context(request, boards.shown(contest, view))
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "leaderboard/_ranking.html", context)
    main = render_to_string("leaderboard/_board.html", context, request)
    return render(request, "leaderboard/board.html", _frame(contest) | {"main": main})


@condition(etag_func=etag)
def points(request: HttpRequest, slug: str) -> HttpResponse:
    """What the picture shows, for the page's script."""
    shown = boards.seen_by(request.user, _contest(slug))
    return HttpResponse(boards.points(shown), content_type="application/json")


@condition(etag_func=etag)
def export_json(request: HttpRequest, slug: str) -> HttpResponseBase:
    return _download(
        json_lines(boards.seen_by(request.user, _contest(slug))),
        "application/json",
        f"{slug}-board.json",
    )


@condition(etag_func=etag)
def export_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    return _download(
        csv_lines(boards.seen_by(request.user, _contest(slug))),
        "text/csv; charset=utf-8",
        f"{slug}-board.csv",
    )


def _download(lines: Iterator[str], content_type: str, name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
