"""Space on this machine's disk. Uploads leave a reserve, because the database and the logs are there too."""

from __future__ import annotations

import errno
import os
import shutil
from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler


def free_bytes() -> int:
    """Space left for uploads."""
    return shutil.disk_usage(settings.HOME).free - int(settings.DISK_RESERVE_BYTES)


def require(size_bytes: int) -> None:
    """Raise ``OSError`` (ENOSPC) if so many more bytes would use the reserve."""
    if size_bytes > free_bytes():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def is_full(error: BaseException | None) -> bool:
    """Whether this error means that the disk, or the user's quota on it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


class ReservingHandler(TemporaryFileUploadHandler):
    """Writes uploaded form files to disk, but never into the reserve."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> Any:
        try:
            require(len(raw_data))
            return super().receive_data_chunk(raw_data, start)
        except OSError:
            self.file.close()  # Django would leave it to the garbage collector
            raise
