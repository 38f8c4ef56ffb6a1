"""A contest of tens of thousands of reports: real ones through the site's own functions, then copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench.harness import say

TEAMS, TEMPLATES = 630, 120
QUESTIONS = 3231  # for each of the demo's two benchmarks; 6,462 in total, as in aimers8
FIRST = 1_000_000  # number of the first copy


def templates(folder: Path, questions: int = QUESTIONS) -> Any:
    """The demo contest with ``TEMPLATES`` scored entries and ``TEAMS`` teams."""
    from django.db import connection

    from leaderboard.contests import loading
    from tests import factories
    from tests.leaderboard.batches import town

    contest, _ = loading.load(str(town.file_of(folder)))
    made = [
        factories.scored(
            contest=contest, team=factories.team(contest=contest), seed=i, questions=questions,
            accuracy=0.2 + 0.25 * (i * 37 % 100) / 100, speedup=0.9 + 1.8 * (i * 61 % 100) / 100,
        )
        for i in range(TEMPLATES)
    ]  # fmt: skip
    for number in range(len(made), TEAMS):
        contest.teams.create(name=f"bench {number}")
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
    return contest


def copy(first: int, count: int) -> None:
    """``count`` copies of the templates' rows, numbered from ``first``: all that a report needs."""
    from django.db import connection

    from leaderboard.models import Evaluation, Result, Score, ScoreInputs, Submission

    say(f"  copying {TEMPLATES} reports {count:,} times")
    team = f"(SELECT id FROM team WHERE n = (g / {TEMPLATES} + g) %% {TEAMS})"
    later = f"x.created + (g - {FIRST}) * interval '1 second'"
    unscored = {"score_id": "NULL", "status": "'queued'"}
    copies = {
        Submission: ("submission", {"id": "g", "team_id": team, "created": later}),
        Evaluation: ("evaluation", {"id": "g", "submission_id": "g", **unscored}),
        Score: ("score", {"id": "g", "evaluation_id": "g", "team_id": team}),
        Result: ("evaluation", {"evaluation_id": "g"}),
        ScoreInputs: ("evaluation", {"evaluation_id": "g"}),
    }
    with connection.cursor() as cursor:
        for model, (key, other) in copies.items():
            meta = model._meta
            names = [field.column for field in meta.concrete_fields]
            values = ", ".join(other.get(name, f'x."{name}"') for name in names)
            columns = ", ".join(f'"{name}"' for name in names)
            cursor.execute(
                f"INSERT INTO {meta.db_table} ({columns}) SELECT {values} "
                f"FROM generate_series({first}, {first + count - 1}) g "
                f"JOIN t ON t.n = g %% {TEMPLATES} JOIN {meta.db_table} x ON x.{meta.pk.column} = t.{key}",
                [],
            )
        cursor.execute(
            "UPDATE leaderboard_evaluation SET score_id = id, status = 'scored' WHERE id >= %s",
            [first],
        )
        cursor.execute("VACUUM ANALYZE")


def database_bytes() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def row_bytes(table: str) -> int:
    """Mean size of a row, compressed as PostgreSQL keeps it, in the table and next to it."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_table_size(%s::regclass) / (SELECT count(*) FROM leaderboard_evaluation)",
            [f"leaderboard_{table}"],
        )
        return int(cursor.fetchone()[0])
