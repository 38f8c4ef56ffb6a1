"""Downloads a checkpoint from the Hugging Face Hub into quarantine, with resume, limits and a digest per file.

Uses httpx rather than huggingface_hub: this process keeps that library offline so that nothing else contacts
the Hub (``lm_eval_client.prepare_process``), and it supports neither a byte budget nor cancellation.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from grader.assets import hub
from grader.checkpoint import find_listing_problems, is_read
from grader.contest import Limits
from grader.problems.catalogue import Stage
from grader.protocol.documents import HubFile, HubSource, Progress
from grader.worker.faults import Cancellation, Rejected, failed, rejected
from grader.worker.settings import Settings

TRIES = 6  # without receiving a byte
FIRST_PAUSE_S = 0.5  # doubled after each try
PIECE_BYTES = 64 << 10  # the most that is lost when a response breaks off
MAX_REDIRECTS = 5
MB = 1_000_000
# Hub errors that mean the repository has changed. All others are the network's fault or ours.
_GONE = {"RepoNotFound", "RevisionNotFound", "EntryNotFound", "GatedRepo"}
_COMMIT = re.compile(r"[0-9a-f]{40}")


class _Broken(Exception):
    """This response is worth another try."""


def fetch(
    source: HubSource,
    folder: Path,
    limits: Limits,
    settings: Settings,
    tell: Callable[[Progress], None] = lambda _: None,
    cancel: Cancellation | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Download a checkpoint into the new ``folder``: files with known names, each with its listed size and
    digest.

    Raises:
        Rejected: HUB_GONE, the commit is no longer public; a listing that no archive could have.
        Failed: SYS_HUB (unreachable, too slow, or bytes differ from the listing), SYS_DISK_FULL.
        Cancelled.
    """
    if problems := find_listing_problems(source.files, limits):
        raise Rejected(problems)
    if not _COMMIT.fullmatch(source.commit):
        raise failed("SYS_HUB", source.repo, f"not a commit: {source.commit[:60]}")
    repo, _ = hub.parse(source.repo)
    files = [file for file in source.files if is_read(file.name)]
    total = sum(file.size_bytes for file in files)
    folder.mkdir(mode=0o700)
    if total > shutil.disk_usage(folder).free:
        raise failed("SYS_DISK_FULL", "", f"needs {total:,} bytes")
    deadline = time.monotonic() + settings.fetch_timeout_s
    fetcher = _Fetcher(total, deadline, tell, cancel or Cancellation(), pause)
    with _client(settings) as client:
        for file in files:
            path = f"/{repo}/resolve/{source.commit}/{file.name}"
            with (folder / file.name).open("xb") as target:
                fetcher.bring(client, path, file, target)


class _Fetcher:
    """Download the files in sequence and report their total progress."""

    def __init__(
        self,
        total_bytes: int,
        deadline: float,
        tell: Callable[[Progress], None],
        cancel: Cancellation,
        pause: Callable[[float], None],
    ) -> None:
        self._total_mb = -(-total_bytes // MB)
        self._tell, self._cancel, self._pause = tell, cancel, pause
        self._deadline = deadline
        self._done_bytes = 0

    def bring(self, client: httpx.Client, path: str, file: HubFile, target: BinaryIO) -> None:
        """Download one file, resuming as often as needed. Raises like :func:`fetch`."""
        digest, done, tries, trouble = _digest(file), 0, 0, "ended early"
        while done < file.size_bytes:
            before = done
            headers = {"Range": f"bytes={done}-"} if done else {}
            try:
                with client.stream("GET", path, headers=headers) as response:
                    _judge(response, file)
                    # The server ignores ranges: start over
                    if done and response.status_code != 206:
                        digest, done = _digest(file), self._rewind(target, done)
                    for piece in response.iter_bytes(PIECE_BYTES):
                        self._cancel.check()
                        if time.monotonic() > self._deadline:
                            raise failed("SYS_HUB", file.name, "slower than GRADER_FETCH_TIMEOUT_S")
                        done += len(piece)
                        if done > file.size_bytes:
                            raise failed("SYS_HUB", file.name, "more bytes than listed")
                        target.write(piece)
                        digest.update(piece)
                        self._add(len(piece))
            except (httpx.HTTPError, _Broken) as error:
                trouble = f"{type(error).__name__}: {error}"[:200]
            if done < file.size_bytes:
                tries = 0 if done > before else tries + 1
                if tries == TRIES:
                    raise failed("SYS_HUB", file.name, trouble)
                self._pause(FIRST_PAUSE_S * 2**tries)
                self._cancel.check()
        if file.digest and digest.hexdigest() != file.digest:
            raise failed(
                "SYS_HUB",
                file.name,
                f"listed {file.digest[:12]}, received {digest.hexdigest()[:12]}",
            )

    def _add(self, count: int) -> None:
        self._done_bytes += count
        self._tell(Progress(Stage.FETCH, self._done_bytes // MB, self._total_mb, "MB"))

    def _rewind(self, target: BinaryIO, done_bytes: int) -> int:
        target.seek(0)
        target.truncate()
        self._done_bytes -= done_bytes
        return 0


def _client(settings: Settings) -> httpx.Client:
    """Redirects lead to the Hub's storage on other hosts, where httpx drops the token."""
    endpoint = httpx.URL(settings.hub_endpoint)

    def stay_encrypted(request: httpx.Request) -> None:
        if request.url.scheme != "https" and request.url.host != endpoint.host:
            raise _Broken(f"redirected to {request.url.scheme}://{request.url.host}")

    headers = {"Accept-Encoding": "identity"}
    if settings.hub_token:
        headers["Authorization"] = f"Bearer {settings.hub_token}"
    return httpx.Client(
        base_url=endpoint,
        headers=headers,
        timeout=settings.http_timeout_s,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        event_hooks={"request": [stay_encrypted]},
    )


def _judge(response: httpx.Response, file: HubFile) -> None:
    if response.is_success:
        return
    said = response.headers.get("X-Error-Code", "")
    if said in _GONE:
        raise rejected("HUB_GONE", file.name, said)
    raise _Broken(f"HTTP {response.status_code} {said}".strip())


def _digest(file: HubFile) -> Any:
    """Return the hash that must match the listed digest: sha256, or git's blob hash."""
    if len(file.digest) == 40:
        digest = hashlib.sha1(usedforsecurity=False)
        digest.update(f"blob {file.size_bytes}\0".encode())
        return digest
    return hashlib.sha256()
