"""The board's page. It is remembered once for everybody; a reader's own marks go in as it is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.messages import get_messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response
from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe
from django.utils.translation import get_language
from django.views.decorators.vary import vary_on_headers

from leaderboard.board import cached, gaps, ranking
from leaderboard.board.listing import FRONT, PAGE, Arrangement
from leaderboard.board.ranking import Entry
from leaderboard.contests import phases
from leaderboard.core.cache import remember
from leaderboard.models import Contest
from leaderboard.templatetags.pictures import current_phase
from leaderboard.views.board_files import per_reader


@per_reader
@vary_on_headers("HX-Request", "Cookie")
def board(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The whole page, or only the ranking when htmx asks."""
    contest, team = _contest(request, slug)
    return _page(request, cached.seen_by(request.user, contest), team)


@per_reader
@vary_on_headers("HX-Request", "Cookie")
def private(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The board over the private questions: staff's at any time, everybody's once revealed."""
    contest, team = _contest(request, slug)
    view = ranking.private_view(request.user, contest)
    if view is None:
        raise Http404
    return _page(request, cached.shown(contest, view), team)


def queue(request: HttpRequest, slug: str) -> HttpResponse:
    """How busy the graders are, for a page that is open already."""
    contest, _ = _contest(request, slug)
    context = {"contest": contest, "queue": cached.queue(contest)}
    return render(request, "leaderboard/_queue_length.html", context)


def _contest(request: HttpRequest, slug: str) -> tuple[Contest, int | None]:
    try:
        return cached.contest_and_team(slug, request.user.pk)
    except Contest.DoesNotExist:
        raise Http404 from None


@dataclass(frozen=True, slots=True)
class _Anybody:
    """Any reader of a kind, in a page that is remembered."""

    is_authenticated: bool
    is_staff: bool

    def get_username(self) -> str:
        return gaps.gap("name")


def _page(request: HttpRequest, shown: cached.Shown, team: int | None) -> HttpResponseBase:
    arrangement = Arrangement.asked(request.GET)
    own = {"team": str(team or ""), "queue": _queue_figure(shown.contest)}
    if request.htmx:  # type: ignore[attr-defined]
        context = _context(request, shown, arrangement)
        pieces = gaps.cut(render_to_string("leaderboard/_ranking.html", context, request))
    elif request.META.get("QUERY_STRING") or len(get_messages(request)):
        context = _context(request, shown, arrangement)
        pieces = gaps.cut(render_to_string("leaderboard/board.html", context, request))
    else:
        own["token"], state = get_token(request), _state(request, shown)
        etag = _etag(state, own["queue"], request.user.pk, team, request.META["CSRF_COOKIE"])
        if unchanged := get_conditional_response(request, etag):
            return unchanged
        pieces = remember(f"page:{state}", lambda: _plain(request, shown), is_shared=False)
        own["name"] = conditional_escape(request.user.get_username())
    own |= _own_row(shown, team, arrangement, pieces)
    response = HttpResponse(gaps.filled(pieces, own))
    if "token" in own:
        response.headers["ETag"] = etag
    return response


def _plain(request: HttpRequest, shown: cached.Shown) -> tuple[bytes, ...]:
    """The ranking as nobody rearranged it, for every reader of this kind."""
    anybody = _Anybody(request.user.is_authenticated, getattr(request.user, "is_staff", False))
    context = _context(request, shown, Arrangement())
    context |= {"user": anybody, "csrf_token": gaps.gap("token")}
    return gaps.cut(render_to_string("leaderboard/board.html", context, request))


def _state(request: HttpRequest, shown: cached.Shown) -> str:
    """Names all that the plain ranking depends on, but for what fills its gaps."""
    contest, user = shown.contest, request.user
    phase = current_phase(contest.rules)
    return (
        f"{shown.key}:{get_language()}:{user.is_authenticated}:{getattr(user, 'is_staff', False)}:"
        f"{phase and (phase['phase'].id, phase['state'])}:{contest.accepts_submissions}:"
        f"{contest.is_open}:{contest.version_id}:{phases.is_revealed(contest)}"
    )


def _etag(*facts: object) -> str:
    """Weak: the same token is masked anew in every answer."""
    return f'W/"{hashlib.sha256(repr(facts).encode()).hexdigest()[:20]}"'


def _context(request: HttpRequest, shown: cached.Shown, arrangement: Arrangement) -> dict[str, Any]:
    contest = shown.contest
    front = cached.front(shown) if arrangement.only == FRONT else frozenset()
    chosen = arrangement.choose(shown.entries, front)
    html = cached.rows(shown)
    pages = arrangement.pages(len(chosen))
    return {
        "contest": contest,
        "rules": contest.rules,
        "board": shown,
        "sees_private": ranking.private_view(request.user, contest) is not None,
        "is_revealed": phases.is_revealed(contest),
        "arrangement": arrangement,
        "rows": mark_safe(  # noqa: S308 - made by templates
            "".join(html[entry.submission_id] for entry in arrangement.cut(chosen))
        ),
        "found": len(chosen),
        "pages": pages,
        "page": min(max(1, arrangement.page), pages),
        "page_links": [(n, arrangement.query(page=n)) for n in range(1, pages + 1)],
        "all_link": arrangement.query(page=0),
    }


def _queue_figure(contest: Contest) -> str:
    now = cached.queue(contest)
    return remember(
        f"queue:{contest.slug}:{get_language()}:{now}",
        lambda: render_to_string(
            "leaderboard/_queue_length.html", {"contest": contest, "queue": now}
        ),
        is_shared=False,
    )


def _own_row(
    shown: cached.Shown, team: int | None, arrangement: Arrangement, pieces: Sequence[bytes]
) -> dict[str, str]:
    """The reader's own row, told apart where it stands or kept at the edge, and the way to it."""
    mine = shown.of_team(team)
    if mine is None:
        return {}
    mark = f"mark-{mine.submission_id}"
    own, is_here = {mark: " mine"}, mark.encode() in pieces[1::2]
    if arrangement.page and not is_here:
        row = cached.rows(shown)[mine.submission_id]
        own["row"] = row.replace(gaps.gap(mark), " mine")
    context = {
        "mine": mine,
        "teams": len(shown.ranked),
        "query": "" if is_here else _page_of(mine, shown.entries),
    }
    own["way"] = render_to_string("leaderboard/_link_to_own_row.html", context)
    return own


def _page_of(mine: Entry, entries: Sequence[Entry]) -> str:
    """The query string of the ranking's page that shows an entry."""
    return Arrangement(page=entries.index(mine) // PAGE + 1).query()
