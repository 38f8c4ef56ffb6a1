"""An archive that came whole, in one form, goes the way of one that comes in pieces.

The difference: if it is refused, nothing of it is kept. Whoever sent it has no page that would go on with it.
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
    """Have the file checked, and no more. Raises ``Refused`` as a gate of ``admission``."""
    with _taken(contest, user, file, only_check=True) as row:
        return session.check(row)


@contextmanager
def _taken(contest: Contest, user: User, file: File[bytes], **about: Any) -> Iterator[Upload]:
    """A complete upload with the bytes of the file."""
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
    """Known before the first byte is stored, so that the same as before is refused before it is stored."""
    digest = hashlib.sha256()
    for chunk in file.chunks(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
