"""``python -m tests.rehearsal [--quick]``: a whole event at full size, without a GPU.

Teams of two contests enter at once, on fast lines and slow ones: ``aimers8`` with checkpoints of 2.56 GB, and a
small one with hundreds of entries. Every report has the 6,462 questions of aimers8. Site, database, broker,
check workers and eight graders are real; only the engines are not, and take a hundredth of the time. At the end
everything is counted, and the board is computed anew. The last line sums it up.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import os
import statistics
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests import waiting_worker
from tests.rehearsal import checkpoints, verdict
from tests.rehearsal.entrants import Entrant, enter

QUESTIONS = {"gsm8k": 512, "kmmlu-redux": 2587, "kmmlu-pro": 2822, "ifeval": 541}
WORKERS, UPLOADS_AT_ONCE = 8, 24
GRADE_S = 13.0  # a hundredth of what a grade of aimers8 takes on an L4
LARGE_SLOW_BYTES_PER_S, SMALL_SLOW_BYTES_PER_S = 40_000_000, 30_000


@dataclasses.dataclass(frozen=True)
class Size:
    large: int
    teams: int
    entries_each: int
    patience_s: float


FULL = Size(large=4, teams=150, entries_each=2, patience_s=3000)
QUICK = Size(large=1, teams=8, entries_each=1, patience_s=900)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one large entry and a few small ones")
    size = QUICK if parser.parse_args().quick else FULL
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    from tests.temporary_home import temporary_home

    with temporary_home() as home:
        try:
            print(f"rehearsal: {_rehearse(home, size)}", flush=True)
        except verdict.BrokenError as error:
            print(f"rehearsal: BROKEN: {error}", flush=True)
            return 1
    return 0


def _rehearse(home: Path, size: Size) -> str:
    import django
    from django.core.management import call_command

    django.setup()
    from django.conf import settings

    from leaderboard.local.processes import Processes
    from leaderboard.local.stack import start_site_workers
    from leaderboard.models import Submission
    from tests.site_process import SiteProcess

    call_command("migrate", verbosity=0)
    settings.SITE_URL = "http://rehearsal"
    contests = _contests(home / "contests")
    say(
        f"building {size.large} archives of 2.56 GB and {size.teams * size.entries_each} small ones"
    )
    entrants = [*_large(contests[0], home, size), *_small(contests[1], home, size)]
    began = time.monotonic()
    with (
        SiteProcess(home, os.environ["DATABASE_URL"]) as site,
        Processes(home / "logs") as processes,
    ):
        environment = {"SITE_URL": site.url, "DJANGO_SETTINGS_MODULE": "leaderboard.settings"}
        start_site_workers(processes, environment)
        reports = {contest.pk: _report(contest) for contest in contests}
        scratches = waiting_worker.start(processes, WORKERS, reports, home, site.url, GRADE_S)
        with _reading(site.url) as board_ms, ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            numbers = list(pool.map(lambda who: enter(site.url, who), entrants))
            say(f"{len(numbers)} entries accepted after {time.monotonic() - began:.0f} s")
            _until_finished(processes.check, scratches, size.patience_s)
        rss_mb = site.rss_mb()
        seconds = time.monotonic() - began
    outcomes = dict(zip(numbers, entrants, strict=True))
    good = {number for number, who in outcomes.items() if who.is_good}
    verdict.one_outcome_each(good, set(outcomes) - good)
    teams = sum(verdict.board_follows_from_reports(contest.pk) for contest in contests)
    verdict.nothing_left(home, scratches)
    sent = sum(Submission.objects.values_list("archive_bytes", flat=True))
    p95_ms = statistics.quantiles(board_ms, n=20)[-1]
    return (
        f"{len(numbers)} entries of {sent / 1e9:.1f} GB in {seconds:.0f} s on {WORKERS} workers: "
        f"{len(good)} scored, {len(numbers) - len(good)} rejected, 0 lost, 0 twice; "
        f"the boards of {teams} teams follow from {len(good)} reports of 6,462 questions; "
        f"board p95 {p95_ms:.0f} ms, site {rss_mb:.0f} MB"
    )


def _contests(folder: Path) -> list[Any]:
    """Both contests, on the site and for the workers."""
    from grader import contest as rules
    from grader.gallery import tiny_contest
    from leaderboard.models import Contest, ContestVersion

    tiny = folder / "tiny"
    tiny.mkdir(parents=True)
    source = f"{tiny_contest(tiny).source}\n[aa]\nevery_hours = 0\n"
    (tiny / "contest.toml").write_text(source, "utf-8")
    rows = []
    for file in (checkpoints.contest_folder(folder / "aimers8"), tiny / "contest.toml"):
        loaded = rules.load(file)
        row = Contest.objects.create(slug=loaded.id, is_open=True)
        row.version = ContestVersion.objects.create(
            contest=row, sha256=loaded.sha256, source=loaded.source, folder=str(loaded.folder),
            grading_sha256=loaded.grading_sha256,
        )  # fmt: skip
        row.save()
        rows.append(row)
    return rows


def _captain(contest: Any, number: int) -> str:
    from django.contrib.auth.models import User

    from leaderboard import teams
    from leaderboard.accounts import tokens

    name = f"{contest.pk}-{number}"
    captain = User.objects.create(username=name, email=f"{name}@example.org")
    teams.create(contest, f"Team {name}", captain)
    return tokens.issue_token(captain, "rehearsal")


def _large(contest: Any, home: Path, size: Size) -> Iterator[Entrant]:
    for number in range(size.large):
        archive = checkpoints.sparse_tar(contest.rules, home / f"large-{number}.tar", number)
        line = LARGE_SLOW_BYTES_PER_S if number == 1 else 0
        yield Entrant(_captain(contest, number), contest.pk, archive, line)


def _small(contest: Any, home: Path, size: Size) -> Iterator[Entrant]:
    """Half a megabyte each; a tenth on slow lines, every fifteenth cut short in the middle of its weights."""
    base = contest.rules.base_folder
    weights = bytearray((base / "model.safetensors").read_bytes())
    for team in range(size.teams):
        token = _captain(contest, team)
        for again in range(size.entries_each):
            number = team * size.entries_each + again
            weights[-2:] = number.to_bytes(2, "little")  # the mantissa of the last weight
            is_good = number % 15 != 7
            archive = home / f"small-{number}.tar"
            with tarfile.open(archive, "w") as tar:
                tar.add(base / "config.json", "config.json")
                info = tarfile.TarInfo("model.safetensors")
                content = bytes(weights if is_good else weights[: len(weights) // 2])
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            line = SMALL_SLOW_BYTES_PER_S if number % 10 == 3 else 0
            yield Entrant(token, contest.pk, archive, line, is_good)


def _report(contest: Any) -> Any:
    """Of as many questions as aimers8 has, benchmark by benchmark if it has the same."""
    from tests import factories

    each = -(-sum(QUESTIONS.values()) // len(contest.rules.benchmarks))
    report = factories.report(contest=contest, questions=max(each, *QUESTIONS.values()))
    quality = [
        dataclasses.replace(one, items=one.items[: QUESTIONS.get(one.benchmark, each)])
        for one in report.quality
    ]
    # The times of a whole grade, into which its parts have to fit.
    stages = [dataclasses.replace(one, duration_s=3600.0) for one in report.stages]
    return dataclasses.replace(report, quality=tuple(quality), stages=tuple(stages))


@contextmanager
def _reading(url: str) -> Iterator[list[float]]:
    """Somebody reads a board five times a second; yields how long each page took."""
    over, took_ms = threading.Event(), []

    def read() -> None:
        with httpx.Client(base_url=url, timeout=300) as client:
            while not over.wait(0.2):
                began = time.perf_counter()
                client.get("/contests/tiny/").raise_for_status()
                took_ms.append(1000 * (time.perf_counter() - began))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield took_ms
    finally:
        over.set()
        thread.join()


def _until_finished(check: Callable[[], None], scratches: list[Path], patience_s: float) -> None:
    """Wait, and ring for what can be claimed, as the graders' Celery processes do."""
    from grader.worker import doorbell
    from leaderboard.models import Evaluation

    until, said = time.monotonic() + patience_s, 0.0
    while (left := Evaluation.objects.unfinished().count()) and time.monotonic() < until:
        check()
        claimable = Evaluation.objects.filter(status="queued", is_checked=True).count()
        for scratch in scratches[:claimable]:
            doorbell.ring(scratch)
        if time.monotonic() - said > 30:
            say(f"{left} unfinished")
            said = time.monotonic()
        time.sleep(2)
    verdict.require(not left, f"{left} entries have no outcome after {patience_s:.0f} s")


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
