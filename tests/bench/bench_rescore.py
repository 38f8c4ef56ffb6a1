"""Rescoring 45,000 stored reports of 6,462 questions, of 630 teams, with the preview of rank moves.

seconds: a benchmark's weight changes; from a draft to the content of the review page, with new scores written.
weights_seconds: the same if only the weights of the formula change.
ratio, weights_ratio: these ÷ reading as many reports from PostgreSQL as JSON, extrapolated from a hundred.
database_gb: everything except the reports as they were sent.
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

from tests.bench.harness import peak_rss_mb, say

TEAMS, TEMPLATES = 630, 120
QUESTIONS = 3231  # for each of the demo's two benchmarks; 6,462 in total, as in aimers8
REPORTS = "SELECT report::text FROM leaderboard_result WHERE evaluation_id < 1000000"
TERMS = (("weight = 0.8", "weight = 0.7"), ("weight = 0.2", "weight = 0.3"))
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
            return _measure(Path(folder), 4_500 if quick else 45_000, 1 if quick else 3)
    finally:
        services.pytest_unconfigure()


def _measure(folder: Path, entries: int, times: int) -> dict[str, object]:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    from leaderboard import batches
    from leaderboard.contests import loading
    from tests.leaderboard.batches import town

    contest = _fill(folder, entries)
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

    read_s = statistics.median(_seconds(lambda: _read(REPORTS)) for _ in range(3))
    read_s *= entries / TEMPLATES
    weights_s = statistics.median(_seconds(ours) for _ in range(times))
    apply_s, wait_ms = _apply_under_eyes(contest)
    loading.load(str(town.file_of(folder, town.CHANGED_WEIGHTS, *TERMS)))
    contest = type(contest).objects.select_related("version", "pending").get(pk=contest.pk)
    assert contest.pending is not None
    seconds = statistics.median(_seconds(ours) for _ in range(times))
    return {
        "ratio": round(seconds / read_s, 2),
        "weights_ratio": round(weights_s / read_s, 2),
        "seconds": round(seconds, 1),
        "weights_seconds": round(weights_s, 1),
        "preview_s": round(statistics.median(previews), 2),
        "apply_s": round(apply_s, 2),
        "board_wait_ms": round(wait_ms),
        "rss_mb": round(peak_rss_mb(ONE_BATCH), 1),
        "database_gb": round(_database_bytes() / 1e9, 2),
        "reports": entries,
        "questions": 2 * QUESTIONS,
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


def _database_bytes() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def _fill(folder: Path, entries: int) -> Any:
    """Create real reports through the site's own API, then copy their rows as often as needed."""
    from django.db import connection

    from leaderboard.contests import loading
    from leaderboard.models import Evaluation, Result, Score, ScoreInputs, Submission
    from tests import factories
    from tests.leaderboard.batches import town

    contest, _ = loading.load(str(town.file_of(folder)))
    made = [
        factories.scored(
            contest=contest, team=factories.team(contest=contest), seed=i, questions=QUESTIONS,
            accuracy=0.2 + 0.25 * (i * 37 % 100) / 100, speedup=0.9 + 1.8 * (i * 61 % 100) / 100,
        )
        for i in range(TEMPLATES)
    ]  # fmt: skip
    teams = [e.submission.team_id for e in made]
    while len(teams) < TEAMS:
        teams.append(contest.teams.create(name=f"bench {len(teams)}").pk)
    say(f"  copying {TEMPLATES} reports to {entries:,}")
    first = 1_000_000
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE t (n int, evaluation bigint, submission bigint, score bigint)"
        )
        for n, e in enumerate(made):
            cursor.execute(
                "INSERT INTO t VALUES (%s, %s, %s, %s)", [n, e.pk, e.submission_id, e.score_id]
            )
        cursor.execute(
            "CREATE TEMP TABLE team AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS n"
            " FROM leaderboard_team"
        )
        team = f"(SELECT id FROM team WHERE n = (g / {TEMPLATES} + g) %% {TEAMS})"
        later = "x.created + (g - 1000000) * interval '1 second'"
        unscored = {"score_id": "NULL", "status": "'queued'"}
        copies = {
            Submission: ("submission", {"id": "g", "team_id": team, "created": later}),
            Evaluation: ("evaluation", {"id": "g", "submission_id": "g", **unscored}),
            Score: ("score", {"id": "g", "evaluation_id": "g", "team_id": team}),
            # Copy only what a rescore reads: 45,000 reports as they were sent are 62 GB.
            Result: ("evaluation", {"evaluation_id": "g", "report": "'{}'"}),
            ScoreInputs: ("evaluation", {"evaluation_id": "g"}),
        }  # fmt: skip
        for model, (key, other) in copies.items():
            meta = model._meta
            names = [field.column for field in meta.concrete_fields]
            values = ", ".join(other.get(name, f'x."{name}"') for name in names)
            columns = ", ".join(f'"{name}"' for name in names)
            cursor.execute(
                f"INSERT INTO {meta.db_table} ({columns}) SELECT {values} "
                f"FROM generate_series({first}, {first + entries - TEMPLATES - 1}) g "
                f"JOIN t ON t.n = g %% {TEMPLATES} JOIN {meta.db_table} x ON x.{meta.pk.column} = t.{key}",
                [],
            )
        cursor.execute(
            "UPDATE leaderboard_evaluation SET score_id = id, status = 'scored' WHERE id >= %s",
            [first],
        )
        cursor.execute("ANALYZE")
    loading.load(str(town.file_of(folder, town.CHANGED_WEIGHTS)))
    return type(contest).objects.select_related("version", "pending").get(pk=contest.pk)
