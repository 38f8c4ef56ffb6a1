"""From a stored archive, or a commit on the Hub, to a submission and its first evaluation."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from leaderboard import lifecycle
from leaderboard.core import names
from leaderboard.core.errors import Refused
from leaderboard.models import Contest, Evaluation, Submission, Team
from leaderboard.submissions.admission import EntryRequest, admit


def register(
    contest: Contest,
    *,
    user: User,
    team: Team | None,
    kind: str = Submission.Kind.TEAM,
    title: str = "",
    note: str = "",
    again: bool = False,
    begun_at: datetime | None = None,
    **archive: Any,
) -> Evaluation:
    """Enter a stored archive (its ``archive*`` columns): creates the submission and its first evaluation, or
    neither.

    If the team was merged into another while the bytes arrived, the entry goes to that team.

    Raises:
        Refused: a gate of ``admission`` is closed.
    """
    with transaction.atomic():
        if team is not None:
            # With two tabs open, the second request waits here and then counts the first one's row.
            team = _locked(team)
        admit(
            EntryRequest(
                contest=contest,
                user=user,
                team=team,
                kind=kind,
                again=again,
                begun_at=begun_at,
                sha256=archive.get("archive_sha256", ""),
                hub=archive.get("hub") or {},
            )
        )
        submission = Submission.objects.create(
            contest=contest,
            kind=kind,
            team=team,
            user=user,
            title=names.shown(title)[:80],
            note=note[:200],
            again=again,
            **archive,
        )
        return lifecycle.submit(submission, by=str(user))


def measure_again(submission: Submission, user: User) -> Evaluation:
    """Enter what preflight held as a duplicate: an entry like any other.

    Raises:
        Refused: not held (any more), or a gate of ``admission`` is closed; then it stays held.
    """
    with transaction.atomic():
        if not lifecycle.release(submission):
            raise Refused("UPLOAD_EXPIRED")
        return register(
            submission.contest,
            user=user,
            team=submission.team,
            note=submission.note,
            again=True,
            hub=submission.hub,
            archive=submission.archive,
            archive_name=submission.archive_name,
            archive_sha256=submission.archive_sha256,
            archive_bytes=submission.archive_bytes,
        )


def display_name(name: str) -> str:
    """A file name as text: no path, nothing that cannot be seen, at most 255 characters."""
    return names.shown(name).replace("\\", "/").rpartition("/")[2].strip()[:255] or "archive"


def _locked(team: Team) -> Team:
    """The team's row, locked, or that of the team it was merged into since it was read."""
    row = Team.objects.select_for_update(of=("self",)).get(pk=team.pk)
    return _locked(row.merged_into) if row.merged_into else row
