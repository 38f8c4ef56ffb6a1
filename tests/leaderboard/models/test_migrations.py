"""The squashed migration and those it replaces give the same schema, and an older database migrates."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import translation
from psycopg import sql

from leaderboard.models import Delivery, Evaluation, Transition, triggers

SQUASHED = ("leaderboard", "0001_squashed_0019_codes_of_sentences")
LAST_OLD = ("leaderboard", "0019_codes_of_sentences")
OLDER = ("leaderboard", "0017_final_columns")
SCHEMA = {
    "columns": """SELECT table_name, column_name, data_type, character_maximum_length, is_nullable,
        column_default, is_identity FROM information_schema.columns
        WHERE table_schema = 'public'""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    # PostgreSQL 18 names NOT NULL too, and a renamed column keeps the old name; "columns" covers these
    "constraints": """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'""",
    "triggers": """SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
        FROM pg_trigger WHERE NOT tgisinternal""",
    "functions": """SELECT proname, pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace""",
}


@pytest.fixture
def databases(
    django_db_setup: None, django_db_blocker: Any
) -> Iterator[Callable[[], BaseDatabaseWrapper]]:
    """Makes empty databases next to the tests' own, which are dropped at the end."""
    with django_db_blocker.unblock():
        made: list[str] = []
        with _server() as server:

            def make() -> BaseDatabaseWrapper:
                name = f"migrations_{uuid.uuid4().hex[:12]}"
                server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                connections.databases[name] = {**connection.settings_dict, "NAME": name}
                made.append(name)
                return connections[name]

            try:
                yield make
            finally:
                for name in made:
                    connections[name].close()
                    del connections[name]
                    del connections.databases[name]
                    server.execute(
                        sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
                    )


@contextmanager
def _server() -> Iterator[psycopg.Connection[Any]]:
    found = connection.get_connection_params()
    wanted = {name: found[name] for name in ("host", "port", "user", "password") if found.get(name)}
    with psycopg.connect(**wanted, dbname="postgres", autocommit=True) as server:
        yield server


def by_old_chain(database: BaseDatabaseWrapper, target: tuple[str, str]) -> MigrationExecutor:
    """Migrate like a release without the squashed migration."""
    executor = MigrationExecutor(database)
    executor.loader = MigrationLoader(database, replace_migrations=False)
    others = [node for node in executor.loader.graph.leaf_nodes() if node[0] != "leaderboard"]
    executor.migrate([*others, target])
    MigrationRecorder(database).record_unapplied(*SQUASHED)
    return executor


def to_the_latest(database: BaseDatabaseWrapper) -> list[str]:
    """Migrate like this release; returns which of the site's migrations were run."""
    executor = MigrationExecutor(database)
    leaves = executor.loader.graph.leaf_nodes()
    plan = executor.migration_plan(leaves)
    executor.migrate(leaves)
    assert MigrationExecutor(database).migration_plan(leaves) == []
    return [migration.name for migration, _ in plan if migration.app_label == "leaderboard"]


def schema(database: BaseDatabaseWrapper) -> dict[str, set[Any]]:
    with database.cursor() as cursor:
        found = {}
        for name, query in SCHEMA.items():
            cursor.execute(query)
            found[name] = set(cursor.fetchall())
            assert found[name], name
        return found


def test_either_way_leads_to_the_same_schema(databases):
    fresh, old = databases(), databases()
    assert to_the_latest(fresh)[0] == SQUASHED[1]
    by_old_chain(old, LAST_OLD)
    assert SQUASHED[1] not in to_the_latest(old)  # it continues where the old ones ended
    assert SQUASHED in MigrationRecorder(old).applied_migrations()
    one, other = schema(fresh), schema(old)
    for name in SCHEMA:
        assert one[name] == other[name], name


def test_the_triggers_of_a_migrated_database_are_those_of_the_file(databases):
    database = databases()
    to_the_latest(database)
    before = schema(database)
    with database.cursor() as cursor:
        cursor.execute(triggers.REMOVE_PACKED)
        cursor.execute(triggers.REMOVE)
        cursor.execute("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        assert cursor.fetchone() == (0,)
        cursor.execute(triggers.CREATE)
        cursor.execute(triggers.CREATE_PACKED)
    assert schema(database) == before


def test_rows_of_an_older_database_keep_what_they_say(databases):
    database = databases()
    alias = database.alias
    apps = by_old_chain(database, OLDER).loader.project_state([OLDER]).apps

    def create(model: str, **fields: Any) -> Any:
        return apps.get_model(model).objects.using(alias).create(**fields)

    contest = create("leaderboard.Contest", slug="demo")
    version = create("leaderboard.ContestVersion", contest=contest, sha256="0" * 64)
    user = create("auth.User", username="mina")
    team = create("leaderboard.Team", contest=contest, name="Hangang")
    entry = create("leaderboard.Submission", contest=contest, team=team, user=user, archive_bytes=1)
    current = create("leaderboard.Evaluation", submission=entry, version=version)
    create("leaderboard.Evaluation", submission=entry, version=version, counts=False)
    reasons = ["submitted", "attempt 2 lost: SYS_WORKER_LOST", "0.6969", "told by phone", ""]
    for reason in reasons:
        create("leaderboard.Transition", evaluation=current, new="queued", reason=reason)
    for number, answer in enumerate(["no answer within 8 s", "HTTP 204"]):
        create(
            "leaderboard.Delivery", team=team, kind="scored", key=str(number), channel="webhook",
            target="https://example.org/", state="given_up", answer=answer,
        )  # fmt: skip
    assert to_the_latest(database)[:2] == ["0018_current_and_status", "0019_codes_of_sentences"]
    assert Evaluation.objects.using(alias).current().get().pk == current.pk
    steps = Transition.objects.using(alias)
    with translation.override("en"):
        said = [(row.code, row.reason) for row in steps]
    codes = ["submitted", "attempt_lost", "scored", "text", ""]
    assert said == list(zip(codes, reasons, strict=True))
    told = Delivery.objects.using(alias).order_by("pk")
    assert [(row.status, row.answer_code) for row in told] == [
        ("given_up", "timeout"),
        ("given_up", "text"),
    ]
    assert told[1].answer == "HTTP 204"
    executor = MigrationExecutor(database)
    executor.loader = MigrationLoader(database, replace_migrations=False)
    executor.migrate([OLDER])  # and back again
    kept = apps.get_model("leaderboard.Transition").objects.using(alias).order_by("pk")
    assert [row.reason for row in kept] == reasons


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
