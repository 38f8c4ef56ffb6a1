"""Sends one archive with the tus protocol. Interrupted uploads resume where they stopped, even in another run.

Uses httpx rather than tuspy, which sets no timeout on its requests (a dead connection would hang forever),
opens a connection per chunk, and hides the site's message and hint. The site's tests use tuspy instead.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baseline.remote.client import UPLOAD_TIMEOUT_S, Site, reason
from baseline.terminal.errors import CliError, Exit
from baseline.terminal.errors import site as site_error

if TYPE_CHECKING:
    import httpx

CHUNK_BYTES = 8 << 20
PATIENCE_S = 600.0  # without receiving a byte
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {"Content-Type": "application/offset+octet-stream"}
COME_AGAIN = {409, 423, 429, 500, 502, 503, 504}
GONE = {404, 410}


def upload(
    site: Site,
    contest: str,
    archive: Path,
    fields: dict[str, str],
    on_bytes: Callable[[int], None] = lambda _count: None,
    sha256: str = "",
) -> dict[str, Any]:
    """Send ``archive`` as a new submission with ``fields`` (note, …) and return the site's document of it.

    Sending the same archive to the same contest resumes an earlier run. Lost connections and site restarts are
    tolerated for up to ten minutes without any progress.

    Raises:
        CliError: UPLOAD_INTERRUPTED, INTERRUPTED by the user, or the site's refusal (quota, closed phase,
            too large).
    """
    sha256 = sha256 or _sha256(archive)
    facts = {"contest": contest, "filename": archive.name, "sha256": sha256, **fields}
    purpose = fields.get("kind", "") + ("check" if fields.get("only_check") else "")
    memory = Memory(f"{site.url} {contest} {purpose} {sha256}")
    for _ in range(2):  # if the site has forgotten the URL, start over once
        address = memory.address or _create(site, archive.stat().st_size, facts)
        memory.keep(address)
        try:
            document = _Transfer(site, address, archive, on_bytes).run(fields.get("again", ""))
        except _Forgotten:
            memory.forget()
            continue
        except KeyboardInterrupt as error:
            raise CliError(
                "INTERRUPTED",
                "The upload was interrupted; the site keeps what has arrived.",
                "Run the same command again: it goes on from there.",
                Exit.INTERRUPTED,
            ) from error
        memory.forget()
        return document
    raise site_error("UPLOAD_INTERRUPTED", "The site forgets uploads.", "Tell the organisers.")


class Memory:
    """URLs of unfinished uploads: ``$XDG_STATE_HOME/paretoboard/uploads.json``."""

    def __init__(self, key: str) -> None:
        base = os.environ.get("XDG_STATE_HOME", "")
        root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local/state"
        self._file = root / "paretoboard" / "uploads.json"
        self._key = hashlib.sha256(key.encode()).hexdigest()

    @property
    def address(self) -> str:
        return str(self._read().get(self._key, ""))

    def keep(self, address: str) -> None:
        self._write({**self._read(), self._key: address})

    def forget(self) -> None:
        self._write({k: v for k, v in self._read().items() if k != self._key})

    def _read(self) -> dict[str, str]:
        try:
            document = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}

    def _write(self, document: dict[str, str]) -> None:
        # If home is read-only, this run works, but no other can resume it
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text(json.dumps(document), "utf-8")
            temporary.replace(self._file)


class _Forgotten(Exception):
    """The site does not, or no longer, know this upload."""


class _Transfer:
    """One upload, sent in chunks. After every failure it resumes at the offset the site reports."""

    def __init__(
        self, site: Site, address: str, archive: Path, on_bytes: Callable[[int], None]
    ) -> None:
        self._site, self._address, self._archive = site, address, archive
        self._on_bytes = on_bytes
        self._size = archive.stat().st_size
        self._told = 0
        self._moved_at = time.monotonic()
        self._pause_s = FIRST_PAUSE_S

    def run(self, again: str = "") -> dict[str, Any]:
        """``again``: "1" to grade an archive again that the team has already submitted."""
        with self._archive.open("rb") as file:
            offset = self._offset()
            while offset < self._size:
                file.seek(offset)
                headers = {**TUS, **BODY, "Upload-Offset": str(offset)}
                answer = self._ask("PATCH", self._address, headers, file.read(CHUNK_BYTES))
                offset = self._tell(answer) if answer is not None else self._offset()
        entering = f"{self._address}/submission" + ("?again=1" if again else "")
        while (answer := self._ask("POST", entering)) is None:
            pass
        return self._site.document(answer)

    def _offset(self) -> int:
        while (answer := self._ask("HEAD", self._address, TUS)) is None:
            pass
        return self._tell(answer)

    def _tell(self, answer: httpx.Response) -> int:
        """Return the site's offset and update the progress bar."""
        offset = int(answer.headers["upload-offset"])
        if offset > self._told:
            self._moved_at, self._pause_s = time.monotonic(), FIRST_PAUSE_S
        self._on_bytes(offset - self._told)
        self._told = offset
        return offset

    def _ask(
        self, method: str, address: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> httpx.Response | None:
        """Return the site's successful response, or None after a failure that is worth a retry.

        Raises:
            _Forgotten. CliError: refused, or no progress for PATIENCE_S.
        """
        import httpx

        timeout = httpx.Timeout(UPLOAD_TIMEOUT_S, connect=30.0)
        try:
            answer = self._site.http.request(
                method, address, headers=headers, content=body, timeout=timeout
            )
        except httpx.HTTPError as error:
            self._wait(reason(error), error)
            return None
        if answer.is_success:
            return answer
        if answer.status_code in GONE:
            raise _Forgotten
        if answer.status_code not in COME_AGAIN or _is_refusal(answer):
            self._site.document(answer)  # raises the site's error
        self._wait(f"HTTP {answer.status_code}", None)
        return None

    def _wait(self, why: str, cause: Exception | None) -> None:
        if time.monotonic() - self._moved_at > PATIENCE_S:
            raise site_error(
                "UPLOAD_INTERRUPTED",
                f"The upload broke off at {self._told:,} of {self._size:,} bytes: {why}.",
                "Run the same command again: it goes on from there.",
            ) from cause
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)


def _create(site: Site, size_bytes: int, facts: dict[str, str]) -> str:
    """Announce the archive and return its URL on the site. This is where the site refuses an upload."""
    import httpx

    pairs = [
        f"{k} {base64.b64encode(v.encode(errors='replace')).decode()}"
        for k, v in facts.items()
        if v
    ]
    headers = {**TUS, "Upload-Length": str(size_bytes), "Upload-Metadata": ",".join(pairs)}
    try:
        answer = site.http.post("/api/uploads/", headers=headers)
    except httpx.HTTPError as error:
        raise site.unreachable(error) from error
    if answer.status_code != 201 or "location" not in answer.headers:
        site.document(answer)
        raise CliError("SITE_ANSWER", f"{site.url} does not take uploads.", "Check --site.")
    # only the path: behind a proxy, the site may not know its external host name
    return httpx.URL(answer.headers["location"]).raw_path.decode()


def _is_refusal(answer: httpx.Response) -> bool:
    """A 429 with a code from the site means the quota; without one, a proxy asks to slow down.

    A 409 is a wrong offset, unless the team has already submitted the same archive.
    """
    if answer.status_code == 409:
        return b'"UPLOAD_SAME"' in answer.content
    return answer.status_code == 429 and b'"code"' in answer.content


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
