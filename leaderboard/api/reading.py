"""Read-only API for the CLI and scripts: contests, boards, scores over time, submissions, reports, logs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Annotated, Any, Literal

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response
from ninja import Query, Router
from ninja.errors import HttpError

from leaderboard.api import schemas as out
from leaderboard.api.auth import Anyone, UserToken
from leaderboard.board import cached, ranking
from leaderboard.board.documents import HistoryOut, board_json, history_json
from leaderboard.contests.documents import ContestOut, contest_json
from leaderboard.core.cache import remember
from leaderboard.core.errors import ErrorOut, Refused
from leaderboard.models import Contest, Evaluation, Submission
from leaderboard.submissions import documents, queries
from leaderboard.submissions.documents import submission_json
from leaderboard.teams.documents import MeOut, me_json

ANYONE = Anyone("read")
OPEN_TO_ALL: dict[str, Any] = {"security": [{}]}  # OpenAPI: a token is accepted but not required
MOST_PER_PAGE = 100
Part = Literal["public", "private"]
router = Router(auth=UserToken("read"), tags=["participant"])


@router.get("/me", response=MeOut)
def me(request: HttpRequest) -> dict[str, Any]:
    """The token's owner and their teams."""
    return me_json(request.auth)  # type: ignore[attr-defined]


@router.get("/contests", auth=None, response=list[ContestOut])
def contests(request: HttpRequest) -> list[dict[str, Any]]:
    """The listed contests."""
    rows = Contest.objects.listed()
    return [contest_json(row) for row in rows.order_by("slug")]


@router.get("/contests/{slug}", auth=None, response=ContestOut)
def contest(request: HttpRequest, slug: str) -> dict[str, Any]:
    """A contest: whether it takes entries now, its phases, limits and formula."""
    return contest_json(_contest(slug))


@router.get("/contests/{slug}/board", auth=ANYONE, openapi_extra=OPEN_TO_ALL,
            response={200: out.BoardOut, 304: None, 403: ErrorOut, 404: ErrorOut})  # fmt: skip
def board(request: HttpRequest, slug: str, part: Part = "public") -> HttpResponseBase:
    """The whole board, best first, with an ETag: send it as If-None-Match and an unchanged board is a 304.

    ``part=private`` is scored on the private questions: open to staff at any time, to everybody once revealed.
    """
    shown = _shown(request, slug, part)
    return _unchanged_or(
        request, cached.state(shown), lambda: board_json(shown, cached.public_ranks(shown))
    )


@router.get("/contests/{slug}/history", auth=ANYONE, openapi_extra=OPEN_TO_ALL,
            response={200: HistoryOut, 304: None, 403: ErrorOut, 404: ErrorOut})  # fmt: skip
def history(request: HttpRequest, slug: str, part: Part = "public") -> HttpResponseBase:
    """Best scores by time of entry: of the top teams and of the token's own."""
    shown = _shown(request, slug, part)
    team = queries.team_of(request.auth, shown.contest)  # type: ignore[attr-defined]
    own = team.pk if team else None
    return _unchanged_or(
        request,
        f"{cached.state(shown)}:{own}",
        lambda: history_json(shown, cached.lines(shown, own)),
    )


@router.get("/contests/{slug}/quota", response={200: documents.QuotaOut, 404: ErrorOut})
def quota_now(request: HttpRequest, slug: str) -> dict[str, Any]:
    """What the token's team has left of today's quota."""
    team = queries.team_of(request.auth, _contest(slug))  # type: ignore[attr-defined]
    if team is None:
        raise Refused("NO_TEAM")
    return documents.quota_json(team)


@router.get("/submissions", response={200: documents.SubmissionsOut, 422: ErrorOut})
def submissions(
    request: HttpRequest,
    contest: out.Text = "",
    status: str = "",
    everything: bool = False,
    limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 20,
    cursor: str = "",
) -> dict[str, Any]:
    """The submissions of the token's teams, newest first, paginated.

    ``everything``: all that the token can read, including the organizers' entries; for staff, every entry.
    ``cursor``: the ``next`` of the previous page.
    """
    user = request.auth  # type: ignore[attr-defined]
    rows = queries.visible_submissions(user)
    if not everything:
        rows = rows.filter(team__in=user.memberships.values("team"))
    if contest:
        rows = rows.filter(contest=contest)
    if status:
        if status not in Evaluation.Status.values:
            raise HttpError(422, f"status is one of {', '.join(Evaluation.Status.values)}")
        current = Evaluation.objects.current().filter(status=status)
        rows = rows.filter(pk__in=current.values("submission"))
    if cursor:
        rows = rows.filter(pk__lt=_number(cursor))
    found = list(rows.order_by("-pk")[: limit + 1])
    page = found[:limit]
    current_of = queries.current_evaluations(page)
    return {
        "items": [submission_json(row, current_of[row.pk], exact=user.is_staff) for row in page],
        "next": _cursor(page[-1].pk) if len(found) > limit else None,
    }


@router.get("/submissions/{pk}", response={200: documents.SubmissionOut, 404: ErrorOut})
def submission(request: HttpRequest, pk: int) -> dict[str, Any]:
    """A submission's status, problems and score, and its place in the queue while it waits."""
    row = _visible(request, pk)
    evaluation = queries.current_evaluation(row)
    waits = evaluation.status == Evaluation.Status.QUEUED and evaluation.is_checked
    position = queries.queue_position(evaluation) if waits else None
    wait_s = cached.queue(row.contest).wait_s(position) if position else None
    shown = submission_json(row, evaluation, exact=request.auth.is_staff)  # type: ignore[attr-defined]
    return {**shown, "position": position, "wait_s": wait_s}


@router.get("/submissions/{pk}/report",
            response={200: documents.ReportOut, 403: ErrorOut, 404: ErrorOut})  # fmt: skip
def report(request: HttpRequest, pk: int, part: Part = "public") -> dict[str, Any]:
    """All measurements, with benchmark values over one part of the questions; 404 until it is scored."""
    row = _visible(request, pk)
    if part == "private" and ranking.private_view(request.auth, row.contest) is None:  # type: ignore[attr-defined]
        raise Refused("NOT_REVEALED")
    evaluation = queries.current_evaluation(row)
    if evaluation.score is None:
        raise Refused("NOT_SCORED")
    return documents.report_json(evaluation, part, exact=request.auth.is_staff)  # type: ignore[attr-defined]


@router.get("/submissions/{pk}/logs",
            response={200: documents.LogsOut, 403: ErrorOut, 404: ErrorOut})  # fmt: skip
def logs(request: HttpRequest, pk: int) -> dict[str, Any]:
    """Every attempt, with the redacted end of the log if it failed; for the team and staff."""
    row, user = _visible(request, pk), request.auth  # type: ignore[attr-defined]
    if not user.is_staff and not user.memberships.filter(team=row.team_id).exists():
        raise Refused("LOGS_CLOSED")
    return documents.logs_json(row, queries.current_evaluation(row))


def _contest(slug: str) -> Contest:
    return get_object_or_404(Contest.objects.in_force(), slug=slug)


def _visible(request: HttpRequest, pk: int) -> Submission:
    return get_object_or_404(queries.visible_submissions(request.auth), pk=pk)  # type: ignore[attr-defined]


def _shown(request: HttpRequest, slug: str, part: Part) -> cached.Shown:
    shown = cached.of_part(request.auth, _contest(slug), part)  # type: ignore[attr-defined]
    if shown is None:
        raise Refused("NOT_REVEALED")
    return shown


def _unchanged_or(request: HttpRequest, key: str, make: Any) -> HttpResponseBase:
    """304 if the client already has it; otherwise the document, which is built once and cached."""
    key = f"{request.path}:{key}"
    etag = f'"{hashlib.sha256(key.encode()).hexdigest()[:20]}"'
    if unchanged := get_conditional_response(request, etag):
        return unchanged
    body = remember(
        f"json:{key}",
        lambda: json.dumps(make(), cls=DjangoJSONEncoder, ensure_ascii=False),
        is_shared=False,
    )
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Authorization, Cookie"}
    return HttpResponse(body, content_type="application/json", headers=headers)


def _cursor(pk: int) -> str:
    return base64.urlsafe_b64encode(str(pk).encode()).decode().rstrip("=")


def _number(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        if text.isdecimal() and len(text) < 19:
            return int(text)
    except (binascii.Error, ValueError):
        pass
    raise HttpError(422, "cursor is not one that a page gave as 'next'.")
