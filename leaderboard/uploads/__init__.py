"""Resumable uploads by tus 1.0: the server side, without HTTP.

    create ─▶ append … append ─▶ finish ─▶ one submission
                 │                  └ refused (quota, closed): the whole file waits until it expires
                 └ lost connection, restart: ask for the offset, go on there

The row's offset is authoritative: it moves only once the bytes below it are on disk, under the row's lock, and
only from the offset that the client sent. Bytes above it are left over from a broken write and are truncated.
``leaderboard.api.tus`` speaks HTTP.
"""

from leaderboard.uploads.session import (
    Conflict,
    Locked,
    UploadRequest,
    append,
    check,
    create,
    discard,
    expect,
    find,
    finish,
    finish_stranded,
    remove_expired,
    unfinished,
)
from leaderboard.uploads.whole import check_whole, enter_whole

__all__ = [
    "Conflict",
    "Locked",
    "UploadRequest",
    "append",
    "check",
    "check_whole",
    "create",
    "discard",
    "enter_whole",
    "expect",
    "find",
    "finish",
    "finish_stranded",
    "remove_expired",
    "unfinished",
]
