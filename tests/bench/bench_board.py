"""The board with 630 teams and 45,000 submissions: its page with cached rows, without a cache, and with ten
times as many.

``ratio``: p95 of the page with cached rows ÷ p95 of an empty view, both through all middleware in this process;
``ratio_member``: the same for a team member, whom the empty view does not look up; ``ratio_known``: the
member's page ÷ p95 of a view that only looks the person up. ``cold_ms``: the page of a board that has not been
requested yet; ``growth_x10``: the same with ten times the submissions ÷ ``cold_ms``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.bench.harness import say

TEAMS = 630


def run(quick: bool) -> dict[str, object]:
    from tests import services  # starts PostgreSQL and Valkey, before Django reads its settings

    try:
        return _measure(3_000 if quick else 45_000, 60 if quick else 300)
    finally:
        services.pytest_unconfigure()


def _measure(submissions: int, times: int) -> dict[str, object]:
    import django
    from django.core.management import call_command

    django.setup()
    from django.conf import settings

    settings.ROOT_URLCONF = "tests.bench.board_urls"
    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    call_command("migrate", verbosity=0, interactive=False)
    small, large = _contest("small"), _contest("large")
    for slug, rows in ((small, submissions), (large, 10 * submissions)):
        say(f"  {slug}: {TEAMS} teams, {rows:,} submissions")
        _fill(slug, rows)
    anonymous, member = _client(None), _client(_captain(small))
    page, empty, who = f"/contests/{small}/", "/empty/", "/who/"
    say(f"  the page has {len(anonymous.get(page).content) / 1000:.0f} kB")
    warm = _p95s({page: anonymous, empty: anonymous}, times)
    warm_member = _p95s({page: member, empty: member, who: member}, times)
    cold = {slug: _cold_ms(anonymous, slug, 3 if times < 100 else 7) for slug in (small, large)}
    queries = {slug: _queries(anonymous, slug) for slug in (small, large)}
    assert queries[small] == queries[large], queries
    return {
        "ratio": round(warm[page] / warm[empty], 2),
        "ratio_member": round(warm_member[page] / warm_member[empty], 2),
        "ratio_known": round(warm_member[page] / warm_member[who], 2),
        "warm_ms": round(warm[page], 2),
        "empty_ms": round(warm[empty], 2),
        "cold_ms": round(cold[small], 1),
        "queries": queries[small],
        "growth_x10": round(cold[large] / cold[small], 2),
        "first_line_of_export_ms": round(_first_line_ms(anonymous, small), 2),
        "submissions": submissions,
    }


def _contest(slug: str) -> str:
    from tests import factories

    return factories.contest(slug=slug).slug


def _captain(slug: str) -> Any:
    from leaderboard.models import Membership

    return Membership.objects.filter(contest=slug).select_related("user").order_by("pk")[0].user


def _client(user: Any) -> Any:
    from django.test import Client

    client = Client(headers={"Accept-Language": "en"}, SERVER_NAME="localhost")
    if user is not None:
        client.force_login(user)
    return client


def _fill(slug: str, rows: int) -> None:
    """Create teams and their scored submissions as database copies of one that was scored normally."""
    from django.db import connection, transaction

    from leaderboard.models import Contest, Evaluation, Score, Submission, Team
    from tests import factories

    contest = Contest.objects.select_related("version").get(slug=slug)
    factories.scored(contest=contest, kind="base", title="base", scheme="bf16", speedup=1)
    factories.scored(contest=contest, kind="reference", title="W8A8", speedup=1.3)
    captain = factories.user(name=f"captain-{slug}")
    first = factories.team(contest=contest, name=f"{slug} 0", captain=captain)
    pattern = factories.scored(contest=contest, team=first)
    Team.objects.bulk_create(Team(contest=contest, name=f"{slug} {i}") for i in range(1, TEAMS))
    names = {"rows": rows, "submission": pattern.submission_id, "evaluation": pattern.pk,
             "score": pattern.score_id, "team": first.pk, "teams": TEAMS}  # fmt: skip
    copies = (
        _copies(Submission, "submission", team_id="%(team)s + n %% %(teams)s",
                created="created - n * interval '1 minute'"),
        _copies(Evaluation, "evaluation", submission_id="%(submission)s + n", score_id="%(score)s + n"),
        _copies(Score, "score", evaluation_id="%(evaluation)s + n", team_id="%(team)s + n %% %(teams)s",
                value="0.3 + 0.4 * random()", accuracy="0.42 * random()", speedup="1 + random()",
                safetensors_bytes="4000000 + (6000000 * random())::bigint", replicates="''::bytea",
                private_replicates="''::bytea"),
    )  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in copies:
            cursor.execute(statement, names)
        for model in (Submission, Evaluation, Score):  # following rows get their own numbers
            table = model._meta.db_table
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
            )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    generator = np.random.default_rng(0)
    best = Score.objects.filter(team__contest=contest).order_by("team", "-value").distinct("team")
    for score in best.only("value"):  # the only rows whose replicates a board reads
        drawn = generator.normal(score.value, 0.005, 1000).astype("<f4").tobytes()
        Score.objects.filter(pk=score.pk).update(replicates=drawn)


def _copies(model: Any, pattern: str, **columns: str) -> str:
    """Build SQL for ``rows`` copies of the row ``pattern``, keeping its columns except for those given."""
    columns["id"] = f"%({pattern})s + n"
    table = model._meta.db_table
    names = [field.column for field in model._meta.concrete_fields]
    quoted = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(columns.get(name, f'"{name}"') for name in names)
    return (
        f"INSERT INTO {table} ({quoted}) SELECT {values} "
        f"FROM {table}, generate_series(1, %(rows)s) AS n WHERE id = %({pattern})s"
    )


def _p95s(clients: dict[str, Any], times: int) -> dict[str, float]:
    """Return the p95 in ms of GETs of each path, taken in turns."""
    took: dict[str, list[float]] = {path: [] for path in clients}
    for _ in range(times + 10):
        for path, client in clients.items():
            took[path].append(_get_ms(client, path))
    return {path: statistics.quantiles(ms[10:], n=20)[-1] for path, ms in took.items()}


def _cold_ms(client: Any, slug: str, times: int) -> float:
    """Return the median time of the page after a result, and in a process with an empty cache."""
    return statistics.median(
        [_get_ms(client, f"/contests/{slug}/", before=lambda: _move(slug)) for _ in range(times)]
    )


def _move(slug: str) -> None:
    from leaderboard import lifecycle
    from leaderboard.core import cache

    lifecycle.board_moves(slug)
    cache.forget()


def _queries(client: Any, slug: str) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    _move(slug)
    with CaptureQueriesContext(connection) as captured:
        client.get(f"/contests/{slug}/")
    return len(captured)


def _first_line_ms(client: Any, slug: str) -> float:
    started = time.perf_counter()
    response = client.get(f"/contests/{slug}/board.csv")
    assert response.streaming
    next(iter(response.streaming_content))
    return 1000 * (time.perf_counter() - started)


def _get_ms(client: Any, path: str, before: Callable[[], None] = lambda: None) -> float:
    before()
    started = time.perf_counter()
    response = client.get(path)
    took = 1000 * (time.perf_counter() - started)
    assert response.status_code == 200, response.status_code
    return took
