from django.db import migrations

# What a finalised contest's board stands on cannot be changed by anybody who writes to the database, the site
# included: an error of class integrity, whose text begins with the stable code CONTEST_FINAL. Checked once per
# statement, over the rows it touched (transition tables), so that applying a batch of thousands pays for one join.
GUARD = """
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
"""
ONE = """
CREATE FUNCTION leaderboard_{table}_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM leaderboard_refuse_final(max(c.slug)) FROM leaderboard_contest c
        WHERE c.finalised_at IS NOT NULL AND c.slug IN ({contests});
    RETURN NULL;
END $$;
"""
TRIGGER = """
CREATE TRIGGER final_{event} AFTER {event} ON leaderboard_{table} REFERENCING {which} TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION leaderboard_{table}_is_final();
"""
_EVALUATION = """SELECT s.contest_id FROM changed x JOIN leaderboard_evaluation e ON e.id = x.evaluation_id
        JOIN leaderboard_submission s ON s.id = e.submission_id WHERE s.kind <> 'selftest'"""
# table: (contests of the rows that changed, events)
TABLES = {
    "submission": (
        "SELECT contest_id FROM changed WHERE kind <> 'selftest'",
        ("INSERT", "UPDATE", "DELETE"),
    ),
    "evaluation": (
        "SELECT s.contest_id FROM changed x JOIN leaderboard_submission s ON s.id = x.submission_id"
        " WHERE s.kind <> 'selftest'",
        ("INSERT", "UPDATE", "DELETE"),
    ),
    "result": (_EVALUATION, ("INSERT", "UPDATE", "DELETE")),
    "score": (_EVALUATION, ("UPDATE", "DELETE")),  # a new one counts for nothing by itself
    "ruling": ("SELECT contest_id FROM changed", ("INSERT", "UPDATE", "DELETE")),
    "finalchoice": (
        "SELECT t.contest_id FROM changed x JOIN leaderboard_team t ON t.id = x.team_id",
        ("INSERT", "UPDATE", "DELETE"),
    ),
    "team": ("SELECT contest_id FROM changed", ("INSERT", "UPDATE", "DELETE")),
    "batch": ("SELECT contest_id FROM changed", ("INSERT", "UPDATE", "DELETE")),
}


def guard():
    yield GUARD
    for table, (contests, events) in TABLES.items():
        yield ONE.format(table=table, contests=contests)
        for event in events:
            yield TRIGGER.format(
                table=table, event=event, which="OLD" if event == "DELETE" else "NEW"
            )


def unguard():
    for table, (_, events) in TABLES.items():
        for event in events:
            yield f"DROP TRIGGER final_{event} ON leaderboard_{table};"
        yield f"DROP FUNCTION leaderboard_{table}_is_final();"
    yield "DROP TRIGGER final ON leaderboard_contest;"
    yield "DROP FUNCTION leaderboard_contest_is_final();"
    yield "DROP FUNCTION leaderboard_refuse_final(text);"


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0011_hub_entry")]

    operations = [migrations.RunSQL("".join(guard()), "".join(unguard()))]
