"""What the CLI and scripts need: contests, submit, status, board."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import File, Form, Router, Schema
from ninja.errors import HttpError
from ninja.files import UploadedFile

from grader.problems import Problem
from leaderboard import boards, hub, queries, submissions
from leaderboard.api.auth import UserToken
from leaderboard.documents import board_json, contest_json, submission_json
from leaderboard.models import Contest, Submission, Team

READ, SUBMIT = UserToken("read"), UserToken("submit")
router = Router(auth=READ, tags=["participant"])


@router.get("/me")
def me(request: HttpRequest) -> dict[str, Any]:
    user = request.auth  # type: ignore[attr-defined]
    teams = [
        {"id": m.team_id, "name": m.team.name, "contest": m.contest_id}
        for m in user.memberships.select_related("team")
    ]
    return {"user": user.get_username(), "teams": teams}


@router.get("/contests", auth=None)
def contests(request: HttpRequest) -> list[dict[str, Any]]:
    rows = Contest.objects.select_related("version").filter(version__isnull=False, is_listed=True)
    return [contest_json(row) for row in rows.order_by("slug")]


@router.get("/contests/{slug}", auth=None)
def contest(request: HttpRequest, slug: str) -> dict[str, Any]:
    return contest_json(_find(slug))


@router.get("/contests/{slug}/board", auth=None)
def board(request: HttpRequest, slug: str) -> dict[str, Any]:
    return board_json(boards.seen_by(request.user, _find(slug)))


@router.post("/contests/{slug}/submissions", auth=SUBMIT, response={201: dict[str, Any]})
def submit(
    request: HttpRequest,
    slug: str,
    archive: File[UploadedFile],
    note: Form[str] = "",
    kind: Form[str] = Submission.Kind.TEAM.value,
    title: Form[str] = "",
) -> tuple[int, dict[str, Any]]:
    """Enter an archive. ``kind`` other than ``team`` (a published baseline) is for staff."""
    user, found = request.auth, _find(slug)  # type: ignore[attr-defined]
    team = _team(user, found, kind)
    evaluation = submissions.enter(
        found, archive, user=user, team=team, kind=kind, title=title, note=note
    )
    return 201, submission_json(evaluation.submission)


class HubEntry(Schema):
    """``repo``: ``owner/name``, also with ``@revision``."""

    repo: str
    revision: str = ""
    note: str = ""
    kind: str = Submission.Kind.TEAM.value
    title: str = ""


@router.post("/contests/{slug}/submissions/hub", auth=SUBMIT, response={201: dict[str, Any]})
def submit_from_hub(request: HttpRequest, slug: str, body: HubEntry) -> tuple[int, dict[str, Any]]:
    """Enter a repository on the Hugging Face Hub, pinned to its commit of this moment."""
    user, found = request.auth, _find(slug)  # type: ignore[attr-defined]
    team = _team(user, found, body.kind)
    evaluation = hub.enter(
        found,
        body.repo,
        body.revision,
        user=user,
        team=team,
        kind=body.kind,
        title=body.title,
        note=body.note,
    )
    return 201, submission_json(evaluation.submission)


@router.get("/submissions/{pk}")
def submission(request: HttpRequest, pk: int) -> dict[str, Any]:
    user = request.auth  # type: ignore[attr-defined]
    return submission_json(get_object_or_404(queries.visible_submissions(user), pk=pk))


def _team(user: User, contest: Contest, kind: str) -> Team | None:
    """Whose entry it will be; organisers' belong to no team."""
    if kind not in Submission.Kind.values:
        raise HttpError(422, f"kind is one of {', '.join(Submission.Kind.values)}")
    if kind != Submission.Kind.TEAM and not user.is_staff:
        raise HttpError(403, "Only organisers publish base and reference entries.")
    team = queries.team_of(user, contest) if kind == Submission.Kind.TEAM else None
    if kind == Submission.Kind.TEAM and team is None:
        raise submissions.Refused(Problem("UPLOAD_NO_TEAM"), 403)
    return team


def _find(slug: str) -> Contest:
    return get_object_or_404(
        Contest.objects.select_related("version").filter(version__isnull=False), slug=slug
    )
