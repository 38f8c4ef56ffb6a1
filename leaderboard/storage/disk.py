"""Room on this machine's disk. Uploads leave a reserve untouched: the database and the logs live there too."""

from __future__ import annotations

import errno
import os
import shutil
from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler


def free_bytes() -> int:
    """What uploads may still use."""
    return shutil.disk_usage(settings.HOME).free - int(settings.DISK_RESERVE_BYTES)


def require(size_bytes: int) -> None:
    """Raise ``OSError`` (ENOSPC) where so many bytes more would touch the reserve."""
    if size_bytes > free_bytes():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def is_full(error: BaseException | None) -> bool:
    """Whether this error means that the disk, or what the user may use of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


class ReservingHandler(TemporaryFileUploadHandler):
    """Files of a form go to disk, but never into the reserve."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> Any:
        try:
            require(len(raw_data))
            return super().receive_data_chunk(raw_data, start)
        except OSError:
            self.file.close()  # Django would leave it to the garbage collector
            raise
