"""The board's page. Its rows are cached for everybody; the rest is rendered for each logged-in reader.

Everyone else sees a page at most a few seconds old, but never an older board or contest state.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

from django.contrib.messages import get_messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.crypto import get_random_string
from django.utils.safestring import mark_safe
from django.utils.translation import get_language
from django.views.decorators.vary import vary_on_headers

from leaderboard.board import cached, ranking
from leaderboard.board.listing import FRONT, PAGE, Arrangement
from leaderboard.board.ranking import Entry
from leaderboard.contests import notices, phases
from leaderboard.core.cache import remember
from leaderboard.models import Contest
from leaderboard.views.board_files import per_reader

ANYBODYS_PAGE_S = 5  # the phases' clock and the length of the queue
ANYBODYS_TOKEN = get_random_string(64)  # replaced by each reader's own token


@per_reader
@vary_on_headers("HX-Request", "Cookie")
def board(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Who leads: the final result once it is public, until then the public board. For htmx only the ranking."""
    read = _read(request, slug)
    return _page(request, cached.leading(request.user, read.contest), read)


@per_reader
@vary_on_headers("HX-Request", "Cookie")
def public(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The board on the public questions, which stays readable after the final result."""
    read = _read(request, slug)
    return _page(request, cached.seen_by(request.user, read.contest), read)


@per_reader
@vary_on_headers("HX-Request", "Cookie")
def private(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The board on the private questions: for staff at any time, for everybody once revealed."""
    read = _read(request, slug)
    view = ranking.private_view(request.user, read.contest)
    if view is None:
        raise Http404
    return _page(request, cached.shown(read.contest, view), read)


def queue(request: HttpRequest, slug: str) -> HttpResponse:
    """How busy the graders are, for a page that is already open."""
    contest = _read(request, slug).contest
    context = {"contest": contest, "queue": cached.queue(contest)}
    return render(request, "leaderboard/_queue_length.html", context)


def _read(request: HttpRequest, slug: str) -> cached.Read:
    try:
        return cached.read(slug, request.user.pk)
    except Contest.DoesNotExist:
        raise Http404 from None


def _page(request: HttpRequest, shown: cached.Shown, read: cached.Read) -> HttpResponseBase:
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "leaderboard/_ranking.html", _context(request, shown, read.team_id))
    token = get_token(request)
    if (
        request.user.is_authenticated
        or request.META.get("QUERY_STRING")
        or len(get_messages(request))
    ):
        html = _html(request, shown, read.team_id, token)
    else:
        moment = int(time.time() / ANYBODYS_PAGE_S)
        key = f"page:{shown.key}:{read.state}:{get_language()}:{moment}"
        made = remember(key, lambda: _html(request, shown, None, ANYBODYS_TOKEN), is_shared=False)
        html = made.replace(ANYBODYS_TOKEN.encode(), token.encode())
    response = HttpResponse(html)
    # The token is masked differently in every response; the ETag gets the secret itself from the cookie.
    content = response.content.replace(token.encode(), request.META["CSRF_COOKIE"].encode())
    etag = f'W/"{hashlib.sha256(content).hexdigest()[:20]}"'
    response.headers["ETag"] = etag
    return get_conditional_response(request, etag, response=response) or response


def _html(request: HttpRequest, shown: cached.Shown, team: int | None, token: str) -> bytes:
    context = {
        **_context(request, shown, team),
        "notices": notices.of(shown.contest),
        "csrf_token": token,
    }
    return render_to_string("leaderboard/board.html", context, request).encode()


def _context(request: HttpRequest, shown: cached.Shown, team: int | None) -> dict[str, Any]:
    contest, arrangement = shown.contest, Arrangement.asked(request.GET)
    front = cached.front(shown) if arrangement.only == FRONT else frozenset()
    chosen = arrangement.choose(shown.entries, front)
    pages = arrangement.pages(len(chosen))
    mine = shown.of_team(team)
    on_page = list(arrangement.cut(chosen))
    is_here = mine in on_page
    at_the_edge = [mine] if mine and arrangement.page and not is_here else []
    is_revealed = phases.is_revealed(contest)
    return {
        "contest": contest,
        "rules": contest.rules,
        "board": shown,
        "team": team,
        "mine": mine,
        "way_to_mine": "" if mine is None or is_here else _page_of(mine, shown.entries),
        "queue": cached.queue(contest),
        "sees_private": ranking.private_view(request.user, contest) is not None,
        "is_revealed": is_revealed,
        "is_final": is_revealed and shown.part == "private" and contest.finalised_at is not None,
        "address": _address(shown, is_revealed),
        "lead": _lead(shown),
        "arrangement": arrangement,
        "rows": _rows(shown, on_page + at_the_edge, mine),
        "found": len(chosen),
        "pages": pages,
        "page": min(max(1, arrangement.page), pages),
        "page_links": [(n, arrangement.query(page=n)) for n in range(1, pages + 1)],
        "all_link": arrangement.query(page=0),
    }


def _lead(shown: cached.Shown) -> float | None:
    """By how much the first team is ahead; None if there is no second, or rounded figures do not say it."""
    if len(shown.ranked) < 2:
        return None
    lead = shown.ranked[0].score.value - shown.ranked[1].score.value
    return lead if shown.view.exact or lead > 0 else None


def _address(shown: cached.Shown, is_revealed: bool) -> str:
    """The address of the board that is shown: the contest's own is the final result's once that is public."""
    names = {"public": "board", "private": "private_board"}
    if is_revealed:
        names = {"public": "public_board", "private": "board"}
    return reverse(names[shown.part], args=[shown.contest.slug])


def _rows(shown: cached.Shown, entries: Sequence[Entry], mine: Entry | None) -> str:
    """The rows as HTML, with the reader's own one highlighted."""
    html = cached.rows(shown)
    made = [
        cached.own_row(shown, entry) if entry is mine else html[entry.submission_id]
        for entry in entries
    ]
    return mark_safe("".join(made))  # noqa: S308 - made by templates


def _page_of(mine: Entry, entries: Sequence[Entry]) -> str:
    """The query string of the ranking page that shows an entry."""
    return Arrangement(page=entries.index(mine) // PAGE + 1).query()
