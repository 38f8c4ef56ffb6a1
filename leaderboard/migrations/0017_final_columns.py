from django.db import migrations

# An evaluation has columns that say nothing of its result (until when an archive is held, the lease): they go on
# changing after the end. Only a change of what the result consists of is refused.
COLUMNS = (
    "submission_id", "version_id", "batch_id", "score_id", "counts", "status", "stage", "attempt", "faults", "started",
    "finished",
)  # fmt: skip
NARROW = """
DROP TRIGGER final_UPDATE ON leaderboard_evaluation;
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
""".format(
    new=", ".join(f"n.{name}" for name in COLUMNS),
    old=", ".join(f"o.{name}" for name in COLUMNS),
)
WIDEN = """
DROP TRIGGER final_UPDATE ON leaderboard_evaluation;
DROP FUNCTION leaderboard_evaluation_change_is_final();
CREATE TRIGGER final_UPDATE AFTER UPDATE ON leaderboard_evaluation REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION leaderboard_evaluation_is_final();
"""


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0016_merge_mail")]

    operations = [migrations.RunSQL(NARROW, WIDEN)]
