"""What the CLI and scripts need: contests, submit, status, board."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import File, Form, Router
from ninja.errors import HttpError
from ninja.files import UploadedFile

from grader.problems import Problem
from leaderboard import queries, submissions
from leaderboard.api.auth import UserToken
from leaderboard.api.errors import described
from leaderboard.models import Contest, Evaluation, Submission

router = Router(auth=UserToken(), tags=["participant"])


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
    return [_contest(row) for row in rows.order_by("slug")]


@router.get("/contests/{slug}", auth=None)
def contest(request: HttpRequest, slug: str) -> dict[str, Any]:
    return _contest(_find(slug))


@router.get("/contests/{slug}/board", auth=None)
def board(request: HttpRequest, slug: str) -> dict[str, Any]:
    return board_json(queries.board(_find(slug)))


@router.post("/contests/{slug}/submissions", response={201: dict[str, Any]})
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
    if kind not in Submission.Kind.values:
        raise HttpError(422, f"kind is one of {', '.join(Submission.Kind.values)}")
    if kind != Submission.Kind.TEAM and not user.is_staff:
        raise HttpError(403, "Only organisers publish base and reference entries.")
    team = queries.team_of(user, found) if kind == Submission.Kind.TEAM else None
    if kind == Submission.Kind.TEAM and team is None:
        raise submissions.Refused(Problem("UPLOAD_NO_TEAM"), 403)
    evaluation = submissions.enter(
        found, archive, user=user, team=team, kind=kind, title=title, note=note
    )
    return 201, submission_json(evaluation.submission)


@router.get("/submissions/{pk}")
def submission(request: HttpRequest, pk: int) -> dict[str, Any]:
    user = request.auth  # type: ignore[attr-defined]
    return submission_json(get_object_or_404(queries.visible_submissions(user), pk=pk))


def submission_json(row: Submission) -> dict[str, Any]:
    """A submission with the evaluation that speaks for it."""
    evaluation = queries.latest_evaluation(row)
    score = evaluation.score if evaluation.status == Evaluation.Status.SCORED else None
    return {
        "id": row.pk,
        "url": settings.SITE_URL + row.get_absolute_url(),
        "contest": row.contest_id,
        "kind": row.kind,
        "team": row.entrant,
        "archive_name": row.archive_name,
        "archive_bytes": row.archive_bytes,
        "archive_sha256": row.archive_sha256,
        "created": row.created,
        "status": evaluation.status,
        "stage": evaluation.stage,
        "progress": evaluation.progress,
        "attempt": evaluation.attempt,
        "problems": [described(problem) for problem in evaluation.problems],
        "score": score.value if score else None,
        "half_width": score.half_width if score else None,
        "terms": score.terms if score else [],
    }


def board_json(found: queries.Board) -> dict[str, Any]:
    """The board as the API, the export and ``make demo ONCE=1`` print it."""
    return {
        "contest": found.contest.slug,
        "formula": found.formula,
        "entries": [
            {
                "rank": entry.rank,
                "tied": entry.tied,
                "team": entry.entrant,
                "kind": entry.kind,
                "submission": entry.submission_id,
                "score": entry.score.value,
                "half_width": entry.score.half_width,
                "terms": entry.score.terms,
                "accuracy": entry.score.accuracy,
                "safetensors_bytes": entry.score.safetensors_bytes,
                "speedup": entry.score.speedup,
                "submissions": entry.submissions,
                "submitted": entry.submitted,
            }
            for entry in found.entries
        ],
    }


def _find(slug: str) -> Contest:
    return get_object_or_404(
        Contest.objects.select_related("version").filter(version__isnull=False), slug=slug
    )


def _contest(row: Contest) -> dict[str, Any]:
    rules = row.rules
    return {
        "id": row.slug,
        "title": {"en": rules.title.en, "ko": rules.title.ko},
        "summary": {"en": rules.summary.en, "ko": rules.summary.ko},
        "base_model": rules.base_model.id,
        "sha256": rules.sha256,
        "is_open": row.is_open,
        "limits": {
            "archive_bytes": rules.limits.archive_bytes,
            "submissions_per_day": rules.limits.submissions_per_day,
        },
        "formula": rules.scoring.formula,
        "url": settings.SITE_URL + row.get_absolute_url(),
    }
