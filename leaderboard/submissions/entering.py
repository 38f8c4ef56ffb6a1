"""Taking an archive in: bounded, hashed while it is written, stored under a name of ours, then entered.

Nothing of the user's file name is used as a path. A submission that cannot be entered leaves no file behind.
"""

from __future__ import annotations

import hashlib
import unicodedata
import uuid
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction

from leaderboard import lifecycle
from leaderboard.core.errors import Refused
from leaderboard.models import Contest, Evaluation, Submission, Team
from leaderboard.storage import archives
from leaderboard.submissions.admission import refuse_closed, refuse_same, refuse_size, refuse_team

CHUNK_BYTES = 1 << 20


def enter(
    contest: Contest,
    upload: File[bytes],
    *,
    user: User,
    team: Team | None,
    kind: str = Submission.Kind.TEAM,
    title: str = "",
    note: str = "",
    again: bool = False,
) -> Evaluation:
    """Store an archive that came whole, in one form, and queue its evaluation.

    Raises:
        Refused: the team has entered it before, and did not ask for it to be measured ``again``.
        Refused: empty, too large, contest closed, team disqualified, quota used up, disk nearly full. Nothing
            is stored then.
    """
    refuse_closed(contest, kind)
    refuse_size(contest, upload.size)
    sha256 = _digest(upload)
    if team is not None:
        if not again:
            refuse_same(contest, team, sha256)
        refuse_team(team)
    key = default_storage.save(f"archives/{uuid.uuid4().hex}", upload)
    try:
        return register(
            contest,
            user=user,
            team=team,
            kind=kind,
            title=title,
            note=note,
            again=again,
            archive=key,
            archive_name=display_name(upload.name or ""),
            archive_sha256=sha256,
            archive_bytes=upload.size,
        )
    except BaseException:
        archives.delete(key)
        raise


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
    """Enter a stored archive (its ``archive*`` columns): the submission and its first evaluation, or neither.

    A team that was merged into another while the bytes arrived enters as that other one.

    Raises:
        Refused: the team has entered it before, and did not ask for it to be measured ``again``.
        Refused: contest closed, team disqualified, quota used up.
    """
    with transaction.atomic():
        refuse_closed(contest, kind, begun_at)
        if team is not None:
            # Two tabs at once: the second waits here and then counts the first one's row.
            team = _locked(team)
            if not again:
                refuse_same(contest, team, archive.get("archive_sha256", ""), archive.get("hub"))
            refuse_team(team)
        submission = Submission.objects.create(
            contest=contest,
            kind=kind,
            team=team,
            user=user,
            title=title[:80],
            note=note[:200],
            again=again,
            **archive,
        )
        return lifecycle.submit(submission, by=str(user))


def measure_again(submission: Submission, user: User) -> Evaluation:
    """Enter anew what preflight held because the team had entered it before: an entry like any other.

    Raises:
        Refused: not held (any more), contest closed, team disqualified, quota used up; it stays held then.
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
    """A file name as text: no path, no control or direction characters, at most 255 characters."""
    name = name.replace("\\", "/").rpartition("/")[2]
    clean = "".join(c for c in name if unicodedata.category(c)[0] != "C").strip()
    return clean[:255] or "archive"


def _locked(team: Team) -> Team:
    """The row of the team, or of the one that has taken it in since it was read, locked."""
    row = Team.objects.select_for_update(of=("self",)).get(pk=team.pk)
    return _locked(row.merged_into) if row.merged_into else row


def _digest(upload: File[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in upload.chunks(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
