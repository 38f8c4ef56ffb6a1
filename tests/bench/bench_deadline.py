"""The last minute before a deadline: 630 teams enter within 60 seconds, and eight workers grade them all.

Half are browsers with a session behind one address, the others clients with a token and an address each; a
tenth of both is on lines of 30 kB/s. The site, its workers, the database and the broker are real; so are the
GPU workers but for the grade itself, which waits (``tests.waiting_worker``). Meanwhile the board is read, and
``/healthz``.

accept_p95_s: on fast lines, from announcing the upload to its last answer; ``_slow_``: on slow ones.
busy_share: of the workers' time between claim and report, while an entry was waiting that could be claimed.
lost: accepted and not scored exactly once. healthz_p95_ms: an almost empty view, for comparison.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import ssl
import statistics
import tarfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.bench.harness import say

SLOW_BYTES_PER_S, PIECES_PER_S = 30_000, 10
SLOW_EACH = 10
READS_PER_S = 10
_TLS = ssl.create_default_context()
_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


@dataclass(frozen=True, slots=True)
class Size:
    teams: int
    seconds: float
    workers: int
    grade_s: float
    patience_s: float


FULL = Size(teams=630, seconds=60, workers=8, grade_s=12, patience_s=2400)
QUICK = Size(teams=63, seconds=10, workers=2, grade_s=3, patience_s=900)


@dataclass
class Seen:
    """What the clients saw."""

    accepted: set[int] = field(default_factory=set)
    fast_s: list[float] = field(default_factory=list)
    slow_s: list[float] = field(default_factory=list)
    board_ms: list[float] = field(default_factory=list)
    healthz_ms: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


def run(quick: bool) -> dict[str, object]:
    from tests.temporary_home import temporary_home

    with temporary_home() as home:
        return _measure(home, QUICK if quick else FULL)


def _measure(home: Path, size: Size) -> dict[str, object]:
    import django
    from django.core.management import call_command

    django.setup()
    from leaderboard.local.processes import Processes
    from leaderboard.local.stack import start_site_workers
    from leaderboard.models import Worker
    from tests import factories, waiting_worker
    from tests.site_process import SiteProcess

    call_command("migrate", verbosity=0)
    contest = _contest(home / "contests")
    say(f"  {size.teams} teams")
    clients = _teams(contest, size.teams)
    with (
        SiteProcess(home, os.environ["DATABASE_URL"]) as site,
        Processes(home / "logs") as processes,
    ):
        start_site_workers(
            processes, {"SITE_URL": site.url, "DJANGO_SETTINGS_MODULE": "leaderboard.settings"}
        )
        reports = {contest.pk: factories.report(contest=contest)}
        scratches = waiting_worker.start(
            processes, size.workers, reports, home, site.url, size.grade_s
        )
        _wait(
            lambda: Worker.objects.filter(last_seen__isnull=False).count() == size.workers,
            processes.check,
            120,
        )
        with _Doorbell(scratches):
            seen = asyncio.run(_deadline(site.url, clients, size, home / "contests"))
            say(f"  {len(seen.accepted)} accepted; refused on the way: {dict(seen.refused)}")
            _wait(lambda: _unfinished() == 0, processes.check, size.patience_s)
        ahead = sum(
            (home / "logs" / f"gpu-{n}.log").read_text().count("it was fetched ahead")
            for n in range(size.workers)
        )
    graded = _graded()
    return {
        "accepted": len(seen.accepted),
        "graded": len(seen.accepted & graded),
        "lost": len(seen.accepted - graded),
        "accept_p95_s": _p95(seen.fast_s),
        "accept_slow_p95_s": _p95(seen.slow_s),
        "busy_share": round(_busy_share(size.workers), 3),
        "board_p95_ms": round(_p95(seen.board_ms), 1),
        "healthz_p95_ms": round(_p95(seen.healthz_ms), 1),
        "fetched_ahead": ahead,
        "refused": dict(seen.refused),
        "workers": size.workers,
        "grade_s": size.grade_s,
    }


def _p95(values: list[float]) -> float:
    return round(statistics.quantiles(values, n=20, method="inclusive")[-1], 3)


def _wait(condition: Callable[[], bool], check: Callable[[], None], patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not condition() and time.monotonic() < deadline:
        check()
        time.sleep(1)


def _contest(folder: Path) -> Any:
    """The contest of the gallery, with a model of half a megabyte, for the site and the workers."""
    from grader import contest as contests
    from grader.gallery.tiny import contest_source, tiny_contest
    from leaderboard.models import Contest, ContestVersion

    (folder / "tiny").mkdir(parents=True)
    tiny_contest(folder / "tiny")
    # Without A/A tests, which would start real engines.
    tiny = contests.parse(f"{contest_source()}\n[aa]\nevery_hours = 0\n", folder / "tiny")
    (folder / "tiny" / "contest.toml").write_text(tiny.source, "utf-8")
    row = Contest.objects.create(slug=tiny.id, is_open=True)
    row.version = ContestVersion.objects.create(
        contest=row, sha256=tiny.sha256, source=tiny.source, folder=str(tiny.folder)
    )
    row.save()
    return row


@dataclass(frozen=True, slots=True)
class _Client:
    """One team's captain. Browsers have a session, the others a token and an address of their own."""

    number: int
    session: str = ""
    token: str = ""

    @property
    def is_slow(self) -> bool:
        return self.number // 2 % SLOW_EACH == 0

    def connect(self, url: str) -> httpx.AsyncClient:
        own = f"127.1.{self.number // 250}.{self.number % 250 + 1}"
        return httpx.AsyncClient(
            base_url=url,
            timeout=120,
            headers={"Authorization": f"Bearer {self.token}"} if self.token else {"Origin": url},
            cookies={"sessionid": self.session} if self.session else None,
            trust_env=False,
            transport=httpx.AsyncHTTPTransport(
                # One for all: reading the certificates takes longer than an upload.
                verify=_TLS,
                local_address=own if self.token else "127.0.0.1",
                retries=2,
            ),
        )


def _teams(contest: Any, count: int) -> list[_Client]:
    from django.contrib.auth.models import User
    from django.test import Client

    from leaderboard import teams
    from leaderboard.accounts import tokens

    found = []
    for number in range(count):
        name = f"captain{number}"
        captain = User.objects.create(username=name, email=f"{name}@example.org")
        teams.create(contest, f"Team {number}", captain)
        if number % 2:
            found.append(_Client(number, token=tokens.issue_token(captain, "bench")))
        else:
            browser = Client()
            browser.force_login(captain)
            found.append(_Client(number, session=browser.cookies["sessionid"].value))
    return found


class _Doorbell:
    """What the workers' Celery processes do: hand each ring to one worker in turn."""

    def __init__(self, scratches: list[Path]) -> None:
        self._scratches = scratches
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _listen(self) -> None:
        from queue import Empty

        from grader.worker import doorbell
        from leaderboard.celery import app

        turn = 0
        with app.connection_for_read() as connection, connection.SimpleQueue("gpu") as queue:
            while not self._over.is_set():
                try:
                    queue.get(timeout=0.5).ack()
                except Empty:
                    continue
                doorbell.ring(self._scratches[turn % len(self._scratches)])
                turn += 1


async def _deadline(url: str, clients: list[_Client], size: Size, folder: Path) -> Seen:
    seen, archive = Seen(), _Archive(folder / "tiny" / "base_model")
    entering = [
        asyncio.create_task(
            _enter(url, client, archive, seen, size.seconds * client.number / len(clients))
        )
        for client in clients
    ]
    over = asyncio.Event()
    reads = [
        asyncio.create_task(_read(url, "/contests/tiny/", seen.board_ms, over)),
        asyncio.create_task(_read(url, "/healthz", seen.healthz_ms, over)),
    ]
    await asyncio.gather(*entering)
    over.set()
    await asyncio.gather(*reads)
    return seen


class _Archive:
    """A checkpoint in a tar; no two teams' are the same."""

    def __init__(self, base: Path) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name in ("config.json", "model.safetensors"):
                tar.add(base / name, name)
        self._bytes = bytearray(packed.getvalue())
        # the mantissa of one of the last weights
        self._at = self._bytes.rindex((base / "model.safetensors").read_bytes()[-64:])

    def of(self, number: int) -> bytes:
        copy = bytearray(self._bytes)
        for place, digit in ((0, number % 256), (2, number // 256)):
            copy[self._at + place] = digit
        return bytes(copy)


async def _enter(url: str, who: _Client, archive: _Archive, seen: Seen, after_s: float) -> None:
    from tests.leaderboard.uploads.tus import BODY, metadata

    await asyncio.sleep(after_s)
    body, headers = archive.of(who.number), {"Tus-Resumable": "1.0.0"}
    async with who.connect(url) as client:
        if who.session:
            page = await _patiently(lambda: client.get("/contests/tiny/submit/"), seen)
            found = _CSRF.search(page.text)
            assert found, page.text[:500]
            headers["X-CSRFToken"] = found[1]
        started = time.monotonic()
        facts = {
            "Upload-Length": str(len(body)),
            "Upload-Metadata": metadata(contest="tiny", filename="model.tar"),
        }
        created = await _patiently(
            lambda: client.post("/api/uploads/", headers=headers | facts), seen
        )
        path = created.headers["Location"]
        sent = headers | {"Content-Type": BODY, "Upload-Offset": "0"}
        sent["Content-Length"] = str(len(body))
        answer = await _patiently(
            lambda: client.patch(
                path, headers=sent, content=_slowly(body) if who.is_slow else body
            ),
            seen,
        )
        if place := answer.headers.get("Content-Location"):
            (seen.slow_s if who.is_slow else seen.fast_s).append(time.monotonic() - started)
            seen.accepted.add(int(place.rstrip("/").rpartition("/")[2]))
        else:
            seen.refused[f"PATCH {answer.status_code}"] += 1


async def _patiently(ask: Callable[[], Awaitable[httpx.Response]], seen: Seen) -> httpx.Response:
    """Ask again when the site says so, as the clients do."""
    for _ in range(20):
        answer = await ask()
        if answer.status_code not in (429, 503):
            break
        seen.refused[str(answer.status_code)] += 1
        await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
    return answer


async def _slowly(body: bytes) -> AsyncIterator[bytes]:
    step = SLOW_BYTES_PER_S // PIECES_PER_S
    for start in range(0, len(body), step):
        yield body[start : start + step]
        await asyncio.sleep(1 / PIECES_PER_S)


async def _read(url: str, path: str, into_ms: list[float], over: asyncio.Event) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while not over.is_set():
            started = time.perf_counter()
            (await client.get(path)).raise_for_status()
            took_s = time.perf_counter() - started
            into_ms.append(1000 * took_s)
            await asyncio.sleep(max(0.0, 1 / READS_PER_S - took_s))


def _unfinished() -> int:
    from leaderboard.models import Evaluation

    return Evaluation.objects.unfinished().count()


def _graded() -> set[int]:
    """Submissions with one result, one score and no other outcome."""
    from leaderboard.models import Evaluation, Result

    results = Counter(Result.objects.values_list("evaluation__submission", flat=True))
    rows = Evaluation.objects.filter(status=Evaluation.Status.SCORED).values_list("submission")
    scored = Counter(number for (number,) in rows)
    return {number for number, times in scored.items() if times == results[number] == 1}


def _busy_share(workers: int) -> float:
    """From the database: time in attempts ÷ workers' time, while at least one entry could be claimed."""
    from leaderboard.models import Attempt, Transition

    moves: list[tuple[float, int]] = []
    checked = Transition.objects.filter(code=Transition.Code.CHECKED)
    moves += [(at.timestamp(), 1) for at in checked.values_list("created", flat=True)]
    attempts = [
        (start.timestamp(), end.timestamp())
        for start, end in Attempt.objects.filter(ended__isnull=False).values_list(
            "started", "ended"
        )
    ]
    moves += [(start, -1) for start, _ in attempts]
    waiting, since, busy_s, open_s = 0, 0.0, 0.0, 0.0
    for at, change in sorted(moves):
        if waiting > 0:
            open_s += at - since
            busy_s += sum(max(0.0, min(end, at) - max(start, since)) for start, end in attempts)
        waiting, since = waiting + change, at
    return busy_s / (workers * open_s) if open_s else 1.0
