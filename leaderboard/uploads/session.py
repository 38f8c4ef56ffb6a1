"""One upload, from its first byte to the submission it becomes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from leaderboard.core.clock import soon
from leaderboard.core.each import each
from leaderboard.core.errors import Refused
from leaderboard.models import Check, Contest, Submission, Team, Upload
from leaderboard.models.upload import new_key
from leaderboard.storage import archives, disk, staging
from leaderboard.submissions import admission, dry_run, entering
from leaderboard.uploads.receive import blocks

log = logging.getLogger(__name__)
STRANDED_AFTER = timedelta(minutes=2)
SLOW_BLOCK_S = 1.0
BEGIN_WITHIN = timedelta(
    minutes=10
)  # an upload without a first byte takes one of its team's places


class Conflict(Exception):
    """The client's offset is not the row's (409); continue at ``offset_bytes``."""

    def __init__(self, offset_bytes: int) -> None:
        super().__init__(offset_bytes)
        self.offset_bytes = offset_bytes


class Locked(Exception):
    """Another request is currently writing this upload (423)."""


class Source(Protocol):
    """Where bytes are read from: a request."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What a client declares before the first byte."""

    size_bytes: int
    name: str
    kind: str = Submission.Kind.TEAM
    title: str = ""
    note: str = ""
    sha256: str = ""
    metadata: str = ""
    again: bool = False
    only_check: bool = False


def create(contest: Contest, user: User, request: UploadRequest) -> Upload:
    """Create an upload; anything that can be refused is refused here, before a byte is sent.

    Raises:
        Refused: a gate of ``admission`` is closed.
    """
    with transaction.atomic():
        team = admission.team_for(contest, user, request.kind)
        _one_at_a_time(user, team)
        return _create(contest, user, team, request)


def _one_at_a_time(user: User, team: Team | None) -> None:
    """Limits hold for concurrent requests too, because each waits for the previous one by the same team."""
    held = User.objects.filter(pk=user.pk) if team is None else Team.objects.filter(pk=team.pk)
    list(held.select_for_update(of=("self",)).values_list("pk"))


def _create(contest: Contest, user: User, team: Team | None, request: UploadRequest) -> Upload:
    admission.admit(
        admission.EntryRequest(
            contest=contest,
            user=user,
            team=team,
            kind=request.kind,
            only_check=request.only_check,
            again=request.again,
            size_bytes=request.size_bytes,
            sha256=request.sha256,
        )
    )
    key = new_key()
    with _disk():
        staging.allocate(key)
    return Upload.objects.create(
        key=key,
        user=user,
        contest=contest,
        kind=request.kind,
        title=request.title[:80],
        note=request.note[:200],
        name=entering.display_name(request.name),
        metadata=request.metadata,
        size_bytes=request.size_bytes,
        sha256=request.sha256,
        again=request.again,
        only_check=request.only_check,
        expires=timezone.now() + min(BEGIN_WITHIN, _lifetime()),
    )


def find(key: str, user: User) -> Upload | None:
    """The user's own upload; other people's are reported as missing."""
    return Upload.objects.select_related("contest__version").filter(pk=key, user=user).first()


def unfinished(user: User) -> QuerySet[Upload]:
    """A person's uploads that can be resumed, newest first."""
    return (
        Upload.objects.unfinished().filter(user=user).select_related("contest").order_by("-created")
    )


def expect(row: Upload, offset_bytes: int, length_bytes: int) -> None:
    """Check that this many bytes may be appended there. Raises like :func:`append`."""
    if offset_bytes + length_bytes > row.size_bytes:
        detail = f"{offset_bytes + length_bytes:,} > {row.size_bytes:,} bytes"
        raise Refused("UPLOAD_LENGTH_MISMATCH", detail)
    if row.expires <= timezone.now():
        raise Refused("UPLOAD_EXPIRED")
    if offset_bytes != row.offset_bytes:
        raise Conflict(row.offset_bytes)


def append(row: Upload, offset_bytes: int, source: Source, length_bytes: int) -> int:
    """Store up to ``length_bytes`` from ``source`` at the offset; returns the new offset.

    If the connection breaks, everything received so far is kept.

    Raises:
        Conflict: the offset is not the row's.
        Locked: another request is writing.
        Refused: expired, disk full, or more bytes than declared. Bytes committed before that stay.
    """
    expect(row, offset_bytes, length_bytes)
    _release_connection()
    waiting_since = time.monotonic()
    for block in blocks(source, length_bytes):
        waited_s = time.monotonic() - waiting_since
        _commit(row.key, offset_bytes, block)
        offset_bytes += len(block)
        if waited_s > SLOW_BLOCK_S:
            _release_connection()
        waiting_since = time.monotonic()
    return offset_bytes


def _release_connection() -> None:
    """Slow clients must not each hold a database connection while they send."""
    if not connection.in_atomic_block:
        connection.close()


def finish(row: Upload, *, again: bool = False) -> Submission:
    """Enter a complete upload. Repeating it, even concurrently, gives the same submission.

    Raises:
        Conflict: bytes are missing.
        Refused: the file is lost; or the checksum differs or a gate of ``admission`` is closed, and the file is
            kept.
    """
    if again:
        Upload.objects.filter(pk=row.pk).update(again=True)
    row.refresh_from_db()
    if not row.is_complete:
        raise Conflict(row.offset_bytes)
    if row.submission is None:
        sha256 = _verify(row)
        with _disk():
            archives.take(staging.path_of(row.key), row.archive)
        try:
            _enter(row, sha256)
        except Refused as refused:
            Upload.objects.filter(pk=row.pk).update(refusal=refused.code)
            raise
        staging.digests.forget(row.key)
        row.refresh_from_db()
    assert row.submission is not None
    return row.submission


def check(row: Upload) -> Check:
    """Turn a complete upload into a check, which then owns its bytes.

    Raises:
        Conflict: bytes are missing. Refused: the checksum differs, or the file is lost.
    """
    row.refresh_from_db()
    if not row.is_complete:
        raise Conflict(row.offset_bytes)
    _verify(row)
    with transaction.atomic():
        if not Upload.objects.select_for_update(of=("self",)).filter(pk=row.pk).exists():
            return Check.objects.get(pk=row.key)  # another request got here first
        found = dry_run.waiting(
            key=row.key,
            user=row.user,
            contest=row.contest,
            name=row.name,
            size_bytes=row.size_bytes,
        )
        Upload.objects.filter(pk=row.pk).delete()
    return found


def discard(row: Upload) -> None:
    """Delete an upload and its bytes; a submission that it became stays.

    Raises:
        Locked: another request is writing it.
    """
    with _held(row.key) as held:
        if held is None:
            return
        staging.path_of(row.key).unlink(missing_ok=True)
        staging.digests.forget(row.key)
        if held.submission_id is None:
            archives.delete(row.archive)
        held.delete()


def finish_stranded() -> None:
    """Enter complete uploads whose client disconnected, or whose site restarted, before they were entered.

    Raises:
        ExceptionGroup: those that could not be entered now; the others were.
    """
    quiet = timezone.now() + _lifetime() - STRANDED_AFTER
    complete = Upload.objects.unfinished().filter(
        offset_bytes=F("size_bytes"), refusal="", expires__lt=quiet
    )
    each(complete.select_related("contest__version", "user"), _finish_stranded)


def _finish_stranded(row: Upload) -> None:
    try:
        check(row) if row.only_check else finish(row)
    except Refused as refused:
        log.info("upload %s not entered: %s", row.pk, refused.code)


def remove_expired() -> None:
    """Delete abandoned uploads from disk, and rows of entered ones that are no longer needed.

    Raises:
        ExceptionGroup: those that could not be deleted now; the others were.
    """
    each((_remove_rows, _remove_unknown), lambda step: step())


def _remove_rows() -> None:
    each(Upload.objects.filter(expires__lte=Now()), _remove)


def _remove(row: Upload) -> None:
    with suppress(Locked):  # being written right now: next time
        discard(row)


def _remove_unknown() -> None:
    known = set(Upload.objects.values_list("pk", flat=True))
    known |= set(Check.objects.filter(finished=None).values_list("pk", flat=True))
    for path in staging.folder().glob("*.part"):
        is_old = path.stat().st_mtime < (timezone.now() - STRANDED_AFTER).timestamp()
        if path.stem not in known and is_old:
            path.unlink(missing_ok=True)  # its creation was never committed


def _lifetime() -> timedelta:
    return timedelta(seconds=settings.UPLOAD_EXPIRES_S)


def _commit(key: str, offset_bytes: int, block: bytes) -> None:
    """Write one block, whole or not at all: under the row's lock, and to disk before the offset moves."""
    with _held(key) as row:
        if row is None:
            raise Refused("UPLOAD_EXPIRED")
        if row.offset_bytes != offset_bytes:
            raise Conflict(row.offset_bytes)
        try:
            with _disk():
                staging.write(key, offset_bytes, block)
        except staging.Lost as error:
            raise Refused("UPLOAD_LOST") from error
        Upload.objects.filter(pk=key).update(
            offset_bytes=offset_bytes + len(block), expires=soon(settings.UPLOAD_EXPIRES_S)
        )
    staging.digests.update(key, offset_bytes, block)


def _enter(row: Upload, sha256: str) -> None:
    with transaction.atomic():
        held = Upload.objects.select_for_update(of=("self",)).get(pk=row.pk)
        if held.submission_id is not None:
            return
        evaluation = entering.register(
            row.contest,
            user=row.user,
            # reread, because people move and teams merge
            team=admission.team_for(row.contest, row.user, row.kind),
            kind=row.kind,
            title=row.title,
            note=row.note,
            again=held.again,
            begun_at=row.created,
            archive=row.archive,
            archive_name=row.name,
            archive_sha256=sha256,
            archive_bytes=row.size_bytes,
        )
        Upload.objects.filter(pk=row.pk).update(
            submission=evaluation.submission, sha256=sha256, refusal=""
        )


def _verify(row: Upload) -> str:
    """The file's sha256, checked against a declared one. Raises Refused: it differs, or the file is lost."""
    sha256 = _digest(row)
    if row.sha256 and row.sha256 != sha256:
        Upload.objects.filter(pk=row.pk).update(refusal="UPLOAD_CHECKSUM")
        raise Refused("UPLOAD_CHECKSUM", f"sha256 {sha256[:12]}")
    return sha256


def _digest(row: Upload) -> str:
    try:
        return staging.digests.of(row.key, staging.path_of(row.key))
    except FileNotFoundError:  # already moved, by another request or before a crash
        try:
            with archives.on_disk(row.archive) as path:
                return staging.digests.of(row.key, path)
        except FileNotFoundError as error:  # the disk has been replaced, so retrying cannot help
            Upload.objects.filter(pk=row.pk).update(refusal="UPLOAD_LOST")
            raise Refused("UPLOAD_LOST") from error


@contextmanager
def _held(key: str) -> Iterator[Upload | None]:
    """The row, locked for this transaction, without waiting for others."""
    with transaction.atomic():
        try:
            row = Upload.objects.select_for_update(nowait=True, of=("self",)).filter(pk=key).first()
        except OperationalError as error:
            raise Locked from error
        yield row


@contextmanager
def _disk() -> Iterator[None]:
    """A full disk is a 507; everything stored before is still there."""
    try:
        yield
    except OSError as error:
        if not disk.is_full(error):
            raise
        raise Refused("UPLOAD_DISK_FULL") from error
