"""Changes that the database itself refuses, from any client, including the site.

The audit log is never changed. What a finalized contest's board depends on is never changed: the database
raises an error of class integrity whose text begins with the stable code ``CONTEST_FINAL``. The check runs once
per statement, over the affected rows (transition tables), so applying a batch of thousands costs one join.

Migrations install these. If you change one here, add a migration with
``RunSQL(triggers.REMOVE + triggers.CREATE)``; a test compares this file with a migrated database.
"""

from __future__ import annotations

from collections.abc import Iterator

APPEND_ONLY = """
CREATE FUNCTION leaderboard_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON leaderboard_auditentry
    FOR EACH ROW EXECUTE FUNCTION leaderboard_append_only();
"""  # noqa: E501 - the text is what older databases hold
CONTEST = """
CREATE FUNCTION leaderboard_refuse_final(slug text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF slug IS NOT NULL THEN
        RAISE EXCEPTION 'CONTEST_FINAL: % is finalised', slug USING ERRCODE = 'restrict_violation';
    END IF;
END $$;

CREATE FUNCTION leaderboard_contest_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM leaderboard_refuse_final(OLD.slug);
    ELSIF (NEW.slug, NEW.finalised_at, NEW.version_id, NEW.pending_id, NEW.frozen_at, NEW.is_open)
        IS DISTINCT FROM (OLD.slug, OLD.finalised_at, OLD.version_id, OLD.pending_id, OLD.frozen_at, OLD.is_open) THEN
        PERFORM leaderboard_refuse_final(OLD.slug);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER final BEFORE UPDATE OR DELETE ON leaderboard_contest
    FOR EACH ROW WHEN (OLD.finalised_at IS NOT NULL) EXECUTE FUNCTION leaderboard_contest_is_final();
"""  # noqa: E501
ROWS = """
CREATE FUNCTION leaderboard_{table}_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM leaderboard_refuse_final(max(c.slug)) FROM leaderboard_contest c
        WHERE c.finalised_at IS NOT NULL AND c.slug IN ({contests});
    RETURN NULL;
END $$;
"""
ON_ROWS = """
CREATE TRIGGER final_{event} AFTER {event} ON leaderboard_{table} REFERENCING {which} TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION leaderboard_{table}_is_final();
"""
EVERY = ("INSERT", "UPDATE", "DELETE")
_OF_EVALUATION = """SELECT s.contest_id FROM changed x JOIN leaderboard_evaluation e ON e.id = x.evaluation_id
        JOIN leaderboard_submission s ON s.id = e.submission_id WHERE s.kind <> 'selftest'"""
# table: (contests of the rows that changed, events)
TABLES = {
    "submission": ("SELECT contest_id FROM changed WHERE kind <> 'selftest'", EVERY),
    # an update of an evaluation: CHANGE_OF_EVALUATION
    "evaluation": (
        "SELECT s.contest_id FROM changed x JOIN leaderboard_submission s ON s.id = x.submission_id"
        " WHERE s.kind <> 'selftest'",
        ("INSERT", "DELETE"),
    ),
    "result": (_OF_EVALUATION, EVERY),
    "score": (_OF_EVALUATION, ("UPDATE", "DELETE")),  # a new one is not current yet
    "ruling": ("SELECT contest_id FROM changed", EVERY),
    "finalchoice": (
        "SELECT t.contest_id FROM changed x JOIN leaderboard_team t ON t.id = x.team_id",
        EVERY,
    ),
    "team": ("SELECT contest_id FROM changed", EVERY),
    "batch": ("SELECT contest_id FROM changed", EVERY),
}
# Other columns of an evaluation do not affect its result (the lease, how long an archive is held) and keep
# changing after the contest is final.
RESULT_COLUMNS = (
    "submission_id", "version_id", "batch_id", "score_id", "is_current", "is_repeat", "status", "stage",
    "attempt", "faults", "started", "finished",
)  # fmt: skip
CHANGE_OF_EVALUATION = """
CREATE FUNCTION leaderboard_evaluation_change_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM leaderboard_contest WHERE finalised_at IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    PERFORM leaderboard_refuse_final(max(c.slug)) FROM changed n
        JOIN earlier o ON o.id = n.id
        JOIN leaderboard_submission s ON s.id = n.submission_id
        JOIN leaderboard_contest c ON c.slug = s.contest_id
        WHERE c.finalised_at IS NOT NULL AND s.kind <> 'selftest'
            AND ({new}) IS DISTINCT FROM ({old});
    RETURN NULL;
END $$;
CREATE TRIGGER final_UPDATE AFTER UPDATE ON leaderboard_evaluation
    REFERENCING OLD TABLE AS earlier NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION leaderboard_evaluation_change_is_final();
""".format(  # noqa: S608 - columns of ours
    new=", ".join(f"n.{name}" for name in RESULT_COLUMNS),
    old=", ".join(f"o.{name}" for name in RESULT_COLUMNS),
)


def _create() -> Iterator[str]:
    yield APPEND_ONLY
    yield CONTEST
    for table, (contests, events) in TABLES.items():
        yield ROWS.format(table=table, contests=contests)
        for event in events:
            which = "OLD" if event == "DELETE" else "NEW"
            yield ON_ROWS.format(table=table, event=event, which=which)
    yield CHANGE_OF_EVALUATION


def _remove() -> Iterator[str]:
    """Dropping a function also drops the triggers that call it."""
    names = [f"{table}_is_final" for table in TABLES]
    for name in ("append_only", "contest_is_final", *names, "evaluation_change_is_final"):
        yield f"DROP FUNCTION leaderboard_{name}() CASCADE;"
    yield "DROP FUNCTION leaderboard_refuse_final(text);"


CREATE, REMOVE = "".join(_create()), "".join(_remove())

# Of tables that came later: what a packed report is put together from.
CREATE_PACKED = (
    """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON leaderboard_sharedinput
    FOR EACH ROW EXECUTE FUNCTION leaderboard_append_only();
"""
    + ROWS.format(table="scoreinputs", contests=_OF_EVALUATION)
    + "".join(
        ON_ROWS.format(
            table="scoreinputs", event=event, which="OLD" if event == "DELETE" else "NEW"
        )
        for event in EVERY
    )
)
REMOVE_PACKED = """
DROP TRIGGER append_only ON leaderboard_sharedinput;
DROP FUNCTION leaderboard_scoreinputs_is_final() CASCADE;
"""
