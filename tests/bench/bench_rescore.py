"""Rescoring 45,000 stored reports of 6,462 questions, of 630 teams, with the preview of rank moves.

seconds: a benchmark's weight changes; from a draft to the content of the review page, with new scores written.
weights_seconds: the same if only the weights of the formula change.
ratio, weights_ratio: these ÷ reading as many whole reports as JSON from PostgreSQL, extrapolated from 120.
report_bytes, inputs_bytes: one report as it is stored, without what it shares with others; its answers.
filled_gb, database_gb: the whole database before the first round and after the last.
apply_s: the single transaction. Meanwhile another connection reads the board continuously, waiting at most
    ``board_wait_ms``, and each board it sees is of one version.
rss_mb: peak of a process that does one batch of the first kind.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench import filling
from tests.bench.harness import peak_rss_mb, say

TERMS = (("weight = 0.64", "weight = 0.54"), ("weight = 0.2", "weight = 0.3"))
SITE = """
import os; os.environ["DJANGO_SETTINGS_MODULE"] = "leaderboard.settings"
import django; django.setup()
"""
READER = f"""{SITE}
import json, sys, threading, time
from leaderboard.board import ranking
from leaderboard.models import Contest
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set())).start()
longest_s, mixed, boards, said = 0.0, 0, set(), False
while not over.is_set():
    before = time.perf_counter()
    board = ranking.board(Contest.objects.select_related("version").get())
    longest_s = max(longest_s, time.perf_counter() - before)
    weights = {{tuple(t["weight"] for t in entry.score.terms) for entry in board.entries}}
    mixed += len(weights) > 1
    boards.add(frozenset(weights))
    if not said:
        said = not print("reading", flush=True)
print(json.dumps({{"longest_ms": 1000 * longest_s, "mixed": mixed, "boards": len(boards)}}))
"""
ONE_BATCH = f"""{SITE}
from leaderboard.models import Contest
from tests.bench.bench_rescore import prepared
from leaderboard import batches
batch = prepared(Contest.objects.get())
batches.review(batch)
batches.cancel(batch, by="bench")
"""


def run(quick: bool) -> dict[str, object]:
    from tests import services  # starts PostgreSQL and Valkey, before Django reads its settings

    try:
        with tempfile.TemporaryDirectory() as folder:
            return _measure(Path(folder), 4_500 if quick else 45_000)
    finally:
        services.pytest_unconfigure()


def _measure(folder: Path, entries: int) -> dict[str, object]:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    from leaderboard import batches
    from leaderboard.contests import loading
    from tests.leaderboard.batches import town

    contest = filling.templates(folder)
    filling.copy(filling.FIRST, entries - filling.TEMPLATES)
    filled = filling.database_bytes()
    loading.load(str(town.file_of(folder, town.CHANGED_WEIGHTS)))
    contest = type(contest).objects.select_related("version", "pending").get(pk=contest.pk)
    previews: list[float] = []

    def ours() -> None:
        batch = prepared(contest)
        before = time.perf_counter()
        found = batches.review(batch)
        previews.append(time.perf_counter() - before)
        assert found.done == found.total >= entries, (found.done, found.total)
        assert found.changed + found.quiet == found.total
        batches.cancel(batch, by="bench")
        say(f"  {found.done:,} reports, preview {previews[-1]:.1f} s")

    read_s = _reading_s() * entries / filling.TEMPLATES
    weights_s = _seconds(ours)
    apply_s, wait_ms = _apply_under_eyes(contest)
    loading.load(str(town.file_of(folder, town.CHANGED_WEIGHTS, *TERMS)))
    contest = type(contest).objects.select_related("version", "pending").get(pk=contest.pk)
    assert contest.pending is not None
    seconds = _seconds(ours)
    database = filling.database_bytes()
    return {
        "ratio": round(seconds / read_s, 2),
        "weights_ratio": round(weights_s / read_s, 2),
        "seconds": round(seconds, 1),
        "weights_seconds": round(weights_s, 1),
        "preview_s": round(statistics.median(previews), 2),
        "apply_s": round(apply_s, 2),
        "board_wait_ms": round(wait_ms),
        "rss_mb": round(peak_rss_mb(ONE_BATCH), 1),
        "report_bytes": filling.row_bytes("result"),
        "inputs_bytes": filling.row_bytes("scoreinputs"),
        "filled_gb": round(filled / 1e9, 2),
        "database_gb": round(database / 1e9, 2),
        "reports": entries,
        "questions": 2 * filling.QUESTIONS,
    }


def prepared(contest: Any) -> Any:
    """A batch over everything, computed and ready for a decision."""
    from leaderboard import batches
    from leaderboard.batches import Filter

    batch = batches.prepare(contest, "rescore", Filter(), reason="bench", by="bench")
    batches.start(batch, by="bench")
    assert batches.advance(batch)
    return batch


def _apply_under_eyes(contest: Any) -> tuple[float, float]:
    """Return the seconds of the apply, and the longest wait of a reader of the board in milliseconds.

    The reader is a separate process, like a web server's workers.
    """
    from leaderboard import batches

    batch = prepared(contest)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None and reader.stdout.readline() == "reading\n"
    apply_s = _seconds(lambda: batches.apply(batch, by="bench"))
    time.sleep(1)
    found = json.loads(reader.communicate()[0])
    say(f"  applied in {apply_s:.1f} s")
    assert found["mixed"] == 0, "a board of two versions was seen"
    assert found["boards"] == 2, "the reader saw both boards"
    return apply_s, float(found["longest_ms"])


def _reading_s() -> float:
    """Seconds for reading the whole reports of all templates, stored as JSON for the purpose."""
    from django.db import connection

    from leaderboard import lifecycle
    from leaderboard.models import Result

    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE whole (report jsonb)")
        for result in Result.objects.filter(pk__lt=filling.FIRST).iterator(chunk_size=10):
            report = json.dumps(lifecycle.whole_report(result))
            cursor.execute("INSERT INTO whole VALUES (%s)", [report])
        took = [_seconds(lambda: _read("SELECT report::text FROM whole")) for _ in range(3)]
        cursor.execute("DROP TABLE whole")
    return statistics.median(took)


def _seconds(work: Any) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def _read(sql: str) -> list[Any]:
    """Read every row through a server-side cursor, decode it, and drop all but the last few hundred."""
    from django.db import connection, transaction

    found: list[Any] = []
    with transaction.atomic():
        connection.ensure_connection()
        with connection.connection.cursor(name="bench") as cursor:
            cursor.itersize = 500
            for (text,) in cursor.execute(sql):
                found.append(json.loads(text))
                if len(found) > 500:
                    found.clear()
    return found
