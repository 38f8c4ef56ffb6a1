"""Taking an archive in: bounded, hashed while it is written, stored under a name of ours, then entered.

Nothing of the user's file name is used as a path. A submission that cannot be entered leaves no file behind.
"""

from __future__ import annotations

import hashlib
import shutil
import unicodedata
import uuid
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction

from grader.problems import Problem
from leaderboard import lifecycle, phases, quota
from leaderboard.models import Contest, Evaluation, Submission, Team

CHUNK_BYTES = 1 << 20


class Refused(Exception):
    """The archive was not taken; ``problem`` says why, ``status`` is the HTTP status for it."""

    def __init__(self, problem: Problem, status: int) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.status = status


def enter(
    contest: Contest,
    upload: File[bytes],
    *,
    user: User,
    team: Team | None,
    kind: str = Submission.Kind.TEAM,
    title: str = "",
    note: str = "",
) -> Evaluation:
    """Store an uploaded archive and queue its evaluation.

    Raises:
        Refused: empty, too large, contest closed, quota used up, disk nearly full. Nothing is stored then.
    """
    if kind == Submission.Kind.TEAM and not phases.accepts(contest):
        raise Refused(Problem("UPLOAD_CLOSED"), 403)
    refuse_size(contest, upload.size)
    if team is not None:
        refuse_quota(team)
    key, sha256 = _store(upload)
    try:
        with transaction.atomic():
            if team is not None:
                # Two tabs at once: the second waits here and then counts the first one's row.
                refuse_quota(Team.objects.select_for_update(of=("self",)).get(pk=team.pk))
            submission = Submission.objects.create(
                contest=contest,
                kind=kind,
                team=team,
                user=user,
                title=title[:80],
                note=note[:200],
                archive=key,
                archive_name=display_name(upload.name or ""),
                archive_sha256=sha256,
                archive_bytes=upload.size,
            )
            return lifecycle.submit(submission, by=str(user))
    except BaseException:
        default_storage.delete(key)
        raise


def refuse_quota(team: Team) -> None:
    """Raise ``Refused`` if the team has used up its day."""
    now = quota.of(team)
    if not now.is_open:
        used = f"{now.used}/{now.limit}, {now.rejected}/{now.rejected_limit}"
        raise Refused(
            Problem("UPLOAD_QUOTA", detail=f"{used}; {now.resets:%Y-%m-%d %H:%M %Z}"), 429
        )


def refuse_size(contest: Contest, size_bytes: int) -> None:
    """Raise ``Refused`` if an archive of this size cannot be taken, before its first byte is stored."""
    limit = contest.rules.limits.archive_bytes
    if size_bytes <= 0:
        raise Refused(Problem("UPLOAD_EMPTY"), 400)
    if size_bytes > limit:
        raise Refused(Problem("UPLOAD_TOO_LARGE", detail=f"{size_bytes:,} > {limit:,} bytes"), 413)
    free = shutil.disk_usage(settings.HOME).free - settings.DISK_RESERVE_BYTES
    if size_bytes > free:
        raise Refused(Problem("UPLOAD_DISK_FULL"), 507)


def display_name(name: str) -> str:
    """A file name as text: no path, no control or direction characters, at most 255 characters."""
    name = name.replace("\\", "/").rpartition("/")[2]
    clean = "".join(c for c in name if unicodedata.category(c)[0] != "C").strip()
    return clean[:255] or "archive"


def _store(upload: File[bytes]) -> tuple[str, str]:
    digest = hashlib.sha256()
    for chunk in upload.chunks(CHUNK_BYTES):
        digest.update(chunk)
    key = default_storage.save(f"archives/{uuid.uuid4().hex}", upload)
    return key, digest.hexdigest()


def archive_path(submission: Submission) -> Path:
    """Where a submission's archive lies on this machine's disk."""
    return Path(default_storage.path(submission.archive))
