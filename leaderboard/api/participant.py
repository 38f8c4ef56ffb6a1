"""Creating an entry in a single request."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import File, Form, Router, Schema
from ninja.errors import HttpError
from ninja.files import UploadedFile

from leaderboard import uploads
from leaderboard.api.auth import UserToken
from leaderboard.api.schemas import Text
from leaderboard.models import Check, Contest, Submission
from leaderboard.submissions import admission, dry_run, entering, hub, queries
from leaderboard.submissions.documents import CheckOut, SubmissionOut, check_json, submission_json

SUBMIT = UserToken("submit")
router = Router(tags=["participant"])


class Entry(Schema):
    note: Text = ""
    kind: Text = Submission.Kind.TEAM.value
    title: Text = ""
    again: bool = False


@router.post(
    "/contests/{slug}/submissions", auth=SUBMIT, response={201: SubmissionOut}, exclude_unset=True
)
def submit(
    request: HttpRequest, slug: str, archive: File[UploadedFile], form: Form[Entry]
) -> tuple[int, dict[str, Any]]:
    """Enter an archive. If the team has entered it before, the answer is 409 with that entry's number; with
    ``again`` it is graded once more.

    ``kind`` other than ``team`` (a published baseline) is for staff.
    """
    user, found = request.auth, _find(slug)  # type: ignore[attr-defined]
    _refuse_kind(user, form.kind)
    return 201, submission_json(uploads.enter_whole(found, user, archive, **form.dict()))


class HubEntry(Entry):
    """``repo``: ``owner/name`` or ``owner/name@revision``."""

    repo: Text
    revision: Text = ""


@router.post(
    "/contests/{slug}/submissions/hub",
    auth=SUBMIT,
    response={201: SubmissionOut},
    exclude_unset=True,
)
def submit_from_hub(request: HttpRequest, slug: str, body: HubEntry) -> tuple[int, dict[str, Any]]:
    """Enter a repository on the Hugging Face Hub, pinned to its current commit."""
    user, found = request.auth, _find(slug)  # type: ignore[attr-defined]
    _refuse_kind(user, body.kind)
    team = admission.team_for(found, user, body.kind)
    about = body.dict(exclude={"repo", "revision"})
    evaluation = hub.enter(found, body.repo, body.revision, user=user, team=team, **about)
    return 201, submission_json(evaluation.submission)


@router.post(
    "/submissions/{pk}/again", auth=SUBMIT, response={201: SubmissionOut}, exclude_unset=True
)
def measure_again(request: HttpRequest, pk: int) -> tuple[int, dict[str, Any]]:
    """Grade an entry that was held because the team has entered the same before."""
    user = request.auth  # type: ignore[attr-defined]
    row = get_object_or_404(queries.visible_submissions(user), pk=pk)
    if row.team is None or not row.team.memberships.filter(user=user).exists():
        raise HttpError(403, "Only the team may do that.")
    return 201, submission_json(entering.measure_again(row, user).submission)


class HubCheck(Schema):
    repo: Text
    revision: Text = ""


@router.post("/contests/{slug}/checks", auth=SUBMIT, response={201: CheckOut})
def check_from_hub(request: HttpRequest, slug: str, body: HubCheck) -> tuple[int, dict[str, Any]]:
    """Check a repository on the Hub without entering it. To check an archive, upload it with ``only_check``."""
    user = request.auth  # type: ignore[attr-defined]
    return 201, check_json(dry_run.enter(_find(slug), body.repo, body.revision, user=user))


@router.get("/checks/{key}", auth=UserToken("read"), response=CheckOut)
def check(request: HttpRequest, key: str) -> dict[str, Any]:
    """The result of a check; ``state`` is waiting, passed or refused."""
    user = request.auth  # type: ignore[attr-defined]
    return check_json(get_object_or_404(Check, pk=key, user=user))


def _refuse_kind(user: User, kind: str) -> None:
    if kind not in Submission.Kind.values:
        raise HttpError(422, f"kind is one of {', '.join(Submission.Kind.values)}")
    if kind != Submission.Kind.TEAM and not user.is_staff:
        raise HttpError(403, "Only organisers publish base and reference entries.")


def _find(slug: str) -> Contest:
    return get_object_or_404(Contest.objects.in_force(), slug=slug)
