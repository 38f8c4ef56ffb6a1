"""The worker's only connection to the site: a few JSON calls with its token. It has no database credentials."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import httpx

from grader.problems.catalogue import Problem
from grader.protocol import worker as protocol
from grader.protocol.documents import AAReport, Progress, Report
from grader.protocol.worker import Ending, GradeJob, Introduction, Job, NextEntry
from grader.schema import SchemaError, decode, encode
from grader.worker.faults import failed
from grader.worker.settings import Settings

_log = logging.getLogger(__name__)

TRIES = 6
PIECE_BYTES = 64 << 10  # the most that is lost when a response breaks off
FIRST_PAUSE_S = 0.5  # doubled after each try: half a minute in total


class LeaseLostError(Exception):
    """The site gave the attempt to another worker (409): stop immediately and write nothing."""


class SiteError(Exception):
    """The site cannot be reached, or its answer is invalid."""


class Site:
    """Calls of the worker's protocol. Thread-safe, like ``httpx.Client``; use it in a ``with`` statement."""

    def __init__(self, client: httpx.Client, pause: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._pause = pause
        self.is_drained = False  # as the last claim said

    @classmethod
    def connect(cls, settings: Settings) -> Site:
        return cls(
            httpx.Client(
                base_url=settings.site_url,
                headers={"Authorization": f"Bearer {settings.token}"},
                timeout=settings.http_timeout_s,
            )
        )

    def __enter__(self) -> Site:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def claim(self, said: Introduction) -> Job | None:
        """Return the next attempt for this worker, or None if there is nothing to do.

        Raises:
            SiteError: unreachable, refuses the token, or its answer is not a job.
        """
        response = self._post(protocol.PREFIX + protocol.CLAIM, encode(said))
        if response.status_code == 204:
            reason = response.headers.get(protocol.NO_WORK_HEADER, "")
            self.is_drained = reason.startswith(protocol.DRAINED)
            if reason:
                _log.info("no work: %s", reason)
            return None
        if response.status_code != 200:
            raise SiteError(f"claim: HTTP {response.status_code} {response.text[:200]}")
        try:
            return protocol.decode_job(response.json())
        except (ValueError, SchemaError) as error:
            raise SiteError(f"claim: {error}") from error

    def upcoming(self, said: Introduction) -> NextEntry | None:
        """Return what this worker will probably be given after its current job; None if nothing is known.

        It is not retried: without an answer, the worker fetches when it has claimed.

        Raises:
            SiteError: unreachable, or its answer is not an entry.
        """
        try:
            response = self._client.post(protocol.PREFIX + protocol.NEXT, json=encode(said))
            if response.status_code in (204, 404):  # 404: a site of an earlier release
                return None
            if response.status_code == 200:
                return decode(NextEntry, response.json())
        except (httpx.HTTPError, ValueError, SchemaError) as error:
            raise SiteError(f"next: {type(error).__name__}: {error}") from error
        raise SiteError(f"next: HTTP {response.status_code}")

    def download(
        self, job: GradeJob | NextEntry, target: Path, check: Callable[[], None] = lambda: None
    ) -> None:
        """Download the archive and verify that it is the one that was uploaded.

        A broken response is continued where it ended, as often as it takes while bytes keep coming.

        Args:
            check: called for each piece; raises if the archive is no longer wanted.

        Raises:
            Failed: SYS_DOWNLOAD, SYS_STORAGE (the bytes differ from the upload).
            LeaseLostError.
        """
        tries = 0
        with target.open("w+b") as file:
            while (before := file.tell()) < job.archive_bytes or not tries:
                trouble = self._continue(job, file, check)
                if not trouble:
                    break
                tries = 1 if file.tell() > before else tries + 1
                _log.warning("archive: %s after %d bytes", trouble, file.tell())
                if tries == TRIES:
                    raise failed("SYS_DOWNLOAD", detail=trouble)
                self._pause(FIRST_PAUSE_S * 2 ** (tries - 1))
                check()
            size = file.tell()
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if size != job.archive_bytes or digest != job.archive_sha256:
            detail = (
                f"expected {job.archive_bytes} bytes {job.archive_sha256[:12]}, got {size} bytes"
            )
            raise failed("SYS_STORAGE", detail=f"{detail} {digest[:12]}")

    def _continue(
        self, job: GradeJob | NextEntry, file: BinaryIO, check: Callable[[], None]
    ) -> str:
        """Append what the site sends from here on; returns what broke, empty if nothing did."""
        done = file.tell()
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
        try:
            with self._client.stream("GET", job.archive_url, headers=headers) as response:
                _expect(response)
                if done and response.status_code != 206:  # a proxy or an older site ignores ranges
                    file.seek(0)
                    file.truncate()
                for piece in response.iter_bytes(PIECE_BYTES):
                    check()
                    file.write(piece)
                    if file.tell() > job.archive_bytes:
                        break
        except (httpx.HTTPError, SiteError) as error:
            return f"{type(error).__name__}: {error}"[:300]
        return ""

    def progress(self, job: Job, progress: Progress) -> None:
        """Send one heartbeat. It is not retried here because the next one follows anyway.

        Raises:
            LeaseLostError, SiteError.
        """
        try:
            _expect(self._client.post(job.url("progress"), json=encode(progress)))
        except httpx.HTTPError as error:
            raise SiteError(f"progress: {type(error).__name__}: {error}") from error

    def report(self, job: Job, report: Report | AAReport) -> None:
        """Deliver the measurements. Repeating the call is harmless: the site keeps the first.

        Raises:
            LeaseLostError, SiteError.
        """
        _expect(self._post(job.url("report"), encode(report)))

    def reject(self, job: Job, problems: Sequence[Problem], log: str) -> None:
        """Report that the checkpoint is at fault. Raises like :meth:`report`."""
        _expect(self._post(job.url("reject"), encode(Ending.of(problems, log))))

    def fail(self, job: Job, problems: Sequence[Problem], log: str) -> None:
        """Report that we are at fault, so that the site retries. Raises like :meth:`report`."""
        _expect(self._post(job.url("fail"), encode(Ending.of(problems, log))))

    def _post(self, path: str, document: object) -> httpx.Response:
        """POST, and retry after connection errors and 5xx with growing pauses."""
        trouble = ""
        for attempt in range(TRIES):
            if attempt:
                self._pause(FIRST_PAUSE_S * 2 ** (attempt - 1))
            try:
                response = self._client.post(path, json=document)
            except httpx.HTTPError as error:
                trouble = f"{type(error).__name__}: {error}"
            else:
                if response.status_code < 500:
                    return response
                trouble = f"HTTP {response.status_code}"
            _log.warning("%s: %s (try %d of %d)", path, trouble, attempt + 1, TRIES)
        raise SiteError(f"{path}: {trouble}")


def _expect(response: httpx.Response) -> None:
    if response.status_code == 409:
        raise LeaseLostError
    if not response.is_success:
        raise SiteError(f"{response.request.url.path}: HTTP {response.status_code}")
