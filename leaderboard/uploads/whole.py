"""An archive sent whole in one form, treated like one that arrives in chunks.

The difference: if it is refused, nothing is kept, because the sender has no page to resume it on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import File

from leaderboard.models import Check, Contest, Submission, Upload
from leaderboard.uploads import session

CHUNK_BYTES = 1 << 20


def enter_whole(contest: Contest, user: User, file: File[bytes], **about: Any) -> Submission:
    """Enter the file; ``about``: fields of ``UploadRequest``. Raises ``Refused`` as a gate of ``admission``."""
    with _taken(contest, user, file, sha256=_digest(file), **about) as row:
        return session.finish(row)


def check_whole(contest: Contest, user: User, file: File[bytes]) -> Check:
    """Check the file without entering it. Raises ``Refused`` as a gate of ``admission``."""
    with _taken(contest, user, file, only_check=True) as row:
        return session.check(row)


@contextmanager
def _taken(contest: Contest, user: User, file: File[bytes], **about: Any) -> Iterator[Upload]:
    """A complete upload with the file's bytes."""
    request = session.UploadRequest(size_bytes=file.size, name=file.name or "", **about)
    row = session.create(contest, user, request)
    try:
        file.seek(0)
        session.append(row, 0, file, file.size)
        yield row
    except BaseException:
        session.discard(row)
        raise


def _digest(file: File[bytes]) -> str:
    """Computed before the first byte is stored, so that a duplicate is refused without storing it."""
    digest = hashlib.sha256()
    for chunk in file.chunks(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
