"""Slow clients against the site as an operator runs it: 200 uploads at 30 kB/s, 100 that send a byte
a second, and 50 reads of the board a second, while eight graders send their heartbeats.

healthz_p99_ms, board_p95_ms: of what was asked all the while; ``_quiet_`` the same without the slow clients.
heartbeats_lost: those without an answer within the time between two of them.
uploads_alive: of the slow uploads, at the end. dribbles_cut: of the other slow connections, by the site.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.bench.harness import say

UPLOADS, UPLOAD_BYTES_PER_S = 200, 30_000
DRIBBLES = 100
READS_PER_S = 50
GRADERS, HEARTBEAT_S = 8, 15.0
TEAM_UPLOADS = 5


@dataclass
class Seen:
    """What the clients saw, in milliseconds and counts."""

    healthz_ms: list[float] = field(default_factory=list)
    board_ms: list[float] = field(default_factory=list)
    heartbeats: int = 0
    heartbeats_lost: int = 0
    failed: int = 0
    uploads_alive: int = 0
    dribbles_cut: int = 0


def run(quick: bool) -> dict[str, object]:
    from tests.temporary_home import temporary_home

    with temporary_home() as home:
        return _measure(home, 20.0 if quick else 90.0)


def _measure(home: Path, seconds: float) -> dict[str, object]:
    import django
    from django.core.management import call_command

    django.setup()
    from tests import factories
    from tests.site_process import SiteProcess

    call_command("migrate", verbosity=0)
    contest = factories.contest()
    for _ in range(30):
        factories.scored(contest=contest)
    tokens = _captains(contest, UPLOADS // TEAM_UPLOADS)
    beats = [_grader(contest, n) for n in range(GRADERS)]
    with SiteProcess(home, os.environ["DATABASE_URL"]) as site:
        quiet = asyncio.run(_all(site, seconds / 3, [], beats))
        say(f"  quiet: healthz p99 {_at(quiet.healthz_ms, 99):.0f} ms")
        slow = asyncio.run(_all(site, seconds, tokens, beats))
    return {
        "healthz_p99_ms": round(_at(slow.healthz_ms, 99), 1),
        "healthz_quiet_p99_ms": round(_at(quiet.healthz_ms, 99), 1),
        "heartbeats_lost": slow.heartbeats_lost,
        "heartbeats": slow.heartbeats,
        "board_p95_ms": round(_at(slow.board_ms, 95), 1),
        "board_quiet_p95_ms": round(_at(quiet.board_ms, 95), 1),
        "reads": len(slow.board_ms),
        "failed": slow.failed,
        "uploads_alive": slow.uploads_alive,
        "dribbles_cut": slow.dribbles_cut,
    }


def _at(values_ms: list[float], percent: int) -> float:
    return statistics.quantiles(values_ms, n=100, method="inclusive")[percent - 1]


def _captains(contest: Any, count: int) -> list[str]:
    from leaderboard.accounts import tokens
    from tests import factories

    captains = [factories.user() for _ in range(count)]
    for captain in captains:
        factories.team(contest=contest, captain=captain)
    return [tokens.issue_token(captain, "bench") for captain in captains]


def _grader(contest: Any, number: int) -> tuple[str, dict[str, str]]:
    """Address and headers of a running grade's heartbeat."""
    from grader.protocol import worker as protocol
    from leaderboard import workers
    from leaderboard.models import Evaluation
    from tests import factories

    row, token = workers.register(f"bench-{number}", by="bench")
    found = factories.running(evaluation=factories.submission(contest=contest), on=row)
    Evaluation.objects.filter(pk=found.pk).update(lease_until="2100-01-01T00:00:00Z")
    url = protocol.attempt_url(found.pk, found.attempts.get().number, "progress")
    return url, {"Authorization": f"Bearer {token}"}


async def _all(
    site: Any, seconds: float, tokens: list[str], beats: list[tuple[str, dict[str, str]]]
) -> Seen:
    seen, until = Seen(), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=60, max_keepalive_connections=60)
    async with httpx.AsyncClient(base_url=site.url, timeout=30, limits=limits) as client:
        slow = [
            asyncio.create_task(_upload(client, site.port, token, until, seen))
            for token in tokens
            for _ in range(TEAM_UPLOADS)
        ]
        if tokens:
            slow += [asyncio.create_task(_dribble(site.port, until, seen)) for _ in range(DRIBBLES)]
            await asyncio.sleep(5)
        work = [
            _often(
                1 / READS_PER_S,
                until,
                lambda: _timed(client, "/contests/demo/", seen.board_ms, seen),
            ),
            _often(0.2, until, lambda: _timed(client, "/healthz", seen.healthz_ms, seen)),
            *(_beat(client, url, headers, until, seen) for url, headers in beats),
        ]
        await asyncio.gather(*work, *slow)
    return seen


async def _often(every_s: float, until: float, work: Callable[[], Awaitable[None]]) -> None:
    running: set[asyncio.Task[None]] = set()
    while time.monotonic() < until:
        task = asyncio.ensure_future(work())
        running.add(task)
        task.add_done_callback(running.discard)
        await asyncio.sleep(every_s)
    await asyncio.gather(*running)


async def _timed(client: httpx.AsyncClient, path: str, into_ms: list[float], seen: Seen) -> None:
    started = time.perf_counter()
    try:
        seen.failed += (await client.get(path)).status_code != 200
    except httpx.TransportError:
        seen.failed += 1
    into_ms.append(1000 * (time.perf_counter() - started))


async def _beat(
    client: httpx.AsyncClient, url: str, headers: dict[str, str], until: float, seen: Seen
) -> None:
    while time.monotonic() < until:
        started = time.monotonic()
        seen.heartbeats += 1
        try:
            answer = await client.post(
                url,
                json={"stage": "quality", "done": 1, "total": 2},
                headers=headers,
                timeout=HEARTBEAT_S,
            )
            seen.heartbeats_lost += not answer.is_success
        except httpx.TransportError:
            seen.heartbeats_lost += 1
        await asyncio.sleep(max(0.0, 3 - (time.monotonic() - started)))


async def _upload(
    client: httpx.AsyncClient, port: int, token: str, until: float, seen: Seen
) -> None:
    from tests.leaderboard.uploads.tus import BODY, metadata

    size = 100_000_000
    headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    facts = {
        "Upload-Length": str(size),
        "Upload-Metadata": metadata(contest="demo", filename="model.zip"),
    }
    created = await client.post("/api/uploads/", headers=headers | facts)
    path = created.headers["Location"].partition(str(port))[2] or created.headers["Location"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = headers | {
        "Host": f"127.0.0.1:{port}", "Content-Type": BODY, "Upload-Offset": "0",
        "Content-Length": str(size),
    }  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    writer.write(f"PATCH {path} HTTP/1.1\r\n{lines}\r\n".encode())
    try:
        while time.monotonic() < until and not reader.at_eof():
            writer.write(b"x" * UPLOAD_BYTES_PER_S)
            await writer.drain()
            await asyncio.sleep(1)
        seen.uploads_alive += not reader.at_eof()
    except ConnectionError:
        pass
    writer.close()


async def _dribble(port: int, until: float, seen: Seen) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nX: ")
    try:
        while time.monotonic() < until and not reader.at_eof():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(1)
        seen.dribbles_cut += reader.at_eof()
    except ConnectionError:
        seen.dribbles_cut += 1
    writer.close()
