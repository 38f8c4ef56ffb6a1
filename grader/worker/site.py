"""The worker's only connection to the site: a few JSON calls with its token. It has no database credentials."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import httpx

from grader.problems.catalogue import Problem
from grader.protocol import worker as protocol
from grader.protocol.documents import AAReport, Progress, Report
from grader.protocol.worker import Ending, GradeJob, Introduction, Job
from grader.schema import SchemaError, encode
from grader.worker.faults import failed
from grader.worker.settings import Settings

_log = logging.getLogger(__name__)

TRIES = 6
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
            if reason := response.headers.get(protocol.NO_WORK_HEADER):
                _log.info("no work: %s", reason)
            return None
        if response.status_code != 200:
            raise SiteError(f"claim: HTTP {response.status_code} {response.text[:200]}")
        try:
            return protocol.decode_job(response.json())
        except (ValueError, SchemaError) as error:
            raise SiteError(f"claim: {error}") from error

    def download(self, job: GradeJob, target: Path) -> None:
        """Download the archive and verify that it is the one that was uploaded.

        Raises:
            Failed: SYS_DOWNLOAD, SYS_STORAGE (the bytes differ from the upload).
            LeaseLostError.
        """
        digest, size = hashlib.sha256(), 0
        try:
            with (
                self._client.stream("GET", job.archive_url) as response,
                target.open("wb") as file,
            ):
                _expect(response)
                for chunk in response.iter_bytes(1 << 20):
                    digest.update(chunk)
                    size += file.write(chunk)
                    if size > job.archive_bytes:
                        break
        except (httpx.HTTPError, SiteError) as error:
            raise failed("SYS_DOWNLOAD", detail=f"{type(error).__name__}: {error}"[:300]) from error
        if size != job.archive_bytes or digest.hexdigest() != job.archive_sha256:
            detail = (
                f"expected {job.archive_bytes} bytes {job.archive_sha256[:12]}, got {size} bytes"
            )
            raise failed("SYS_STORAGE", detail=f"{detail} {digest.hexdigest()[:12]}")

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
