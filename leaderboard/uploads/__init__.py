"""Resumable uploads by tus 1.0: the server's side of it, without HTTP.

    create ─▶ append … append ─▶ finish ─▶ one submission
                 │                  └ refused (quota, closed): the whole file waits until it expires
                 └ lost connection, restart: ask for the offset, go on there

The row's offset is the truth: it only moves after the bytes below it are on the disk, under the row's lock, and
only from the offset that the writer named. Bytes above it are leftovers of a broken write and are cut off.
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
