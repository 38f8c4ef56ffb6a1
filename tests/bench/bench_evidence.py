"""Exporting the evidence of 45,000 entries, and of a tenth as many, by a process of its own.

seconds, gb, rss_mb, first_byte_ms: of the archive of all entries. The reports in it are whole.
rss_growth: ``rss_mb`` ÷ that of a tenth; the list of members at a zip's end grows with them.
copy_s: ``COPY … TO STDOUT`` of the same rows as PostgreSQL stores them, in which a report is packed.
large_s_per_1000: seconds for a thousand reports of 6,462 questions each.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench import filling
from tests.bench.harness import output_of, say

QUESTIONS = 120  # for each of two benchmarks
LARGE = 240  # entries with 6,462 questions
EXPORT = """
import os; os.environ["DJANGO_SETTINGS_MODULE"] = "leaderboard.settings"
import django; django.setup()
import json, time
from django.utils import timezone
from leaderboard.models import Contest
from leaderboard.organisers import closing
from tests.bench.harness import own_peak_bytes
contest = Contest.objects.select_related("version").get()
contest.finalised_at = timezone.now()  # not saved: more entries follow
idle, began, first, size = own_peak_bytes(), time.perf_counter(), None, 0
for piece in closing.export(contest):
    size += len(piece)
    first = first or time.perf_counter() - began
print(json.dumps({"seconds": time.perf_counter() - began, "first_byte_ms": 1000 * first, "bytes": size,
                  "rss_mb": (own_peak_bytes() - idle) / (1 << 20)}))
"""
TABLES = ("submission", "evaluation", "score", "result", "scoreinputs")


def run(quick: bool) -> dict[str, object]:
    from tests import services  # starts PostgreSQL and Valkey, before Django reads its settings

    try:
        return _measure(4_500 if quick else 45_000)
    finally:
        services.pytest_unconfigure()


def _measure(entries: int) -> dict[str, object]:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    small, whole = _filled(QUESTIONS, entries // 10, entries)
    call_command("flush", verbosity=0, interactive=False)
    copy_s = whole.pop("copy_s")
    (large,) = _filled(filling.QUESTIONS, LARGE)
    return {
        "entries": entries,
        "questions": 2 * QUESTIONS,
        "seconds": round(whole["seconds"], 1),
        "rss_mb": round(whole["rss_mb"], 1),
        "first_byte_ms": round(whole["first_byte_ms"]),
        "gb": round(whole["bytes"] / 1e9, 2),
        "rss_growth": round(whole["rss_mb"] / small["rss_mb"], 2),
        "copy_s": round(copy_s, 1),
        "large_s_per_1000": round(1000 * large["seconds"] / LARGE, 1),
        "large_gb_per_1000": round(large["bytes"] / LARGE / 1e6, 2),
    }


def _filled(questions: int, *sizes: int) -> list[dict[str, float]]:
    """Fill the database to each size, and export it."""
    from django.db import connection

    found, there = [], filling.TEMPLATES
    with tempfile.TemporaryDirectory() as folder:
        filling.templates(Path(folder), questions)
        for size in sizes:
            filling.copy(filling.FIRST + there, size - there)
            there = size
            found.append(json.loads(output_of(EXPORT)))
            say(f"  {size:,} entries: {found[-1]}")
            found[-1]["copy_s"] = _copy_s()
    connection.close()  # and with it the temporary tables of the filling
    return found


def _copy_s() -> float:
    from django.db import connection

    before = time.perf_counter()
    for table in TABLES:
        with connection.cursor() as cursor, _copying(cursor, table) as stream:
            for _ in stream:
                pass
    return time.perf_counter() - before


def _copying(cursor: Any, table: str) -> Any:
    return cursor.copy(f"COPY leaderboard_{table} TO STDOUT")
