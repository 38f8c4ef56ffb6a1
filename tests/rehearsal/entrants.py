"""Teams that enter checkpoints over tus: some on fast lines, some on slow ones, some of them bad."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

PIECE_BYTES = 1 << 20
PATCH_BYTES = 256 << 20  # as the CLI: a broken connection loses no more
PATIENCE_S = 900.0


@dataclass(frozen=True)
class Entrant:
    """A team's captain with one archive. ``bytes_per_s``: of the line; 0: as fast as it goes.

    Attributes:
        is_good: the check finds nothing.
    """

    token: str
    contest: str
    archive: Path
    bytes_per_s: int = 0
    is_good: bool = True


def enter(url: str, who: Entrant) -> int:
    """Upload the archive and enter it; returns the submission's number."""
    from tests.leaderboard.uploads.tus import BODY, metadata

    headers = {"Authorization": f"Bearer {who.token}", "Tus-Resumable": "1.0.0"}
    size = who.archive.stat().st_size
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S) as client:
        facts = {
            "Upload-Length": str(size),
            "Upload-Metadata": metadata(contest=who.contest, filename=who.archive.name),
        }
        path = _patiently(client, "POST", "/api/uploads/", headers=facts).headers["Location"]
        at = 0
        while at < size:
            end = min(size, at + PATCH_BYTES)
            answer = client.patch(
                path,
                headers={
                    "Content-Type": BODY,
                    "Upload-Offset": str(at),
                    "Content-Length": str(end - at),
                },
                content=_pieces(who, at, end),
            )
            if answer.status_code in (429, 503):
                time.sleep(float(answer.headers.get("Retry-After", "1")))
                continue
            answer.raise_for_status()
            at = end
        place: str = answer.headers["Content-Location"]
        return int(place.rstrip("/").rpartition("/")[2])


def _patiently(
    client: httpx.Client, method: str, path: str, headers: dict[str, str]
) -> httpx.Response:
    until = time.monotonic() + PATIENCE_S
    while True:
        answer = client.request(method, path, headers=headers)
        if answer.status_code not in (429, 503, 507) or time.monotonic() > until:
            answer.raise_for_status()
            return answer
        time.sleep(float(answer.headers.get("Retry-After", "1")))


def _pieces(who: Entrant, at: int, end: int) -> Iterator[bytes]:
    size = min(PIECE_BYTES, who.bytes_per_s // 10) if who.bytes_per_s else PIECE_BYTES
    with who.archive.open("rb") as file:
        file.seek(at)
        while at < end:
            piece = file.read(min(size, end - at))
            yield piece
            at += len(piece)
            if who.bytes_per_s:
                time.sleep(len(piece) / who.bytes_per_s)
