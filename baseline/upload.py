"""Sending one archive. Kept behind one function so that a resumable protocol can replace it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from baseline.client import UPLOAD_TIMEOUT_S, Site
from baseline.errors import site as site_error


def upload(
    site: Site,
    contest: str,
    archive: Path,
    fields: dict[str, str],
    on_bytes: Callable[[int], None] = lambda _count: None,
) -> dict[str, Any]:
    """Stream ``archive`` as a new submission with form ``fields`` (note, …).

    Returns the site's ``{id, url, status, stage}``. Not repeated by itself: after a lost answer the
    site may hold the submission already.

    Raises:
        CliError: UPLOAD_INTERRUPTED, or the site's refusal (quota, closed phase, too large).
    """
    import httpx

    with archive.open("rb") as file:
        # httpx wants a whole IO[bytes]; it uses read() and fileno()
        counted = cast(BinaryIO, _Counted(file, on_bytes))
        try:
            response = site.http.post(
                f"/api/contests/{contest}/submissions",
                data=fields,
                files={"archive": (archive.name, counted, "application/x-tar")},
                timeout=httpx.Timeout(UPLOAD_TIMEOUT_S, connect=30.0),
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise site.unreachable(error) from error
        except httpx.HTTPError as error:
            raise site_error(
                "UPLOAD_INTERRUPTED",
                f"The upload broke off: {error or type(error).__name__}.",
                "Look at your team's page first: if the submission is not there, submit again.",
            ) from error
    return site.document(response)


class _Counted:
    """A readable file that reports what was read; httpx asks it for its length with fileno()."""

    def __init__(self, file: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        self._file, self._on_bytes = file, on_bytes

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._on_bytes(len(data))
        return data

    def fileno(self) -> int:
        return self._file.fileno()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
