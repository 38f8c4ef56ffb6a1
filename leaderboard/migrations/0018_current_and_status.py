import django.db.models.deletion
from django.db import migrations, models

# The function names columns of leaderboard_evaluation in its text, which does not follow a rename.
CHANGE_IS_FINAL = """
CREATE OR REPLACE FUNCTION leaderboard_evaluation_change_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
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
"""


def change_is_final(current):
    columns = (
        "submission_id", "version_id", "batch_id", "score_id", current, "status", "stage", "attempt", "faults",
        "started", "finished",
    )  # fmt: skip
    new, old = (", ".join(f"{row}.{name}" for name in columns) for row in "no")
    return CHANGE_IS_FINAL.format(new=new, old=old)


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0017_final_columns")]

    operations = [
        migrations.RemoveConstraint("aarun", "one_open_aa_run_per_worker_and_contest"),
        migrations.RemoveConstraint("evaluation", "one_evaluation_speaks_for_a_submission"),
        migrations.RemoveConstraint("merger", "one_open_offer_per_pair"),
        migrations.RemoveIndex("delivery", "outbox"),
        migrations.RenameField("aarun", "state", "status"),
        migrations.RenameField("batch", "state", "status"),
        migrations.RenameField("delivery", "state", "status"),
        migrations.RenameField("merger", "state", "status"),
        migrations.RenameField("evaluation", "counts", "is_current"),
        migrations.RunSQL(change_is_final("is_current"), change_is_final("counts")),
        migrations.AddIndex(
            "delivery",
            models.Index(
                fields=["not_before"], name="outbox", condition=models.Q(status="waiting")
            ),
        ),
        migrations.AddConstraint(
            "aarun",
            models.UniqueConstraint(
                fields=["worker", "contest"],
                condition=models.Q(status__in=("waiting", "running")),
                name="one_open_aa_run_per_worker_and_contest",
            ),
        ),
        migrations.AddConstraint(
            "evaluation",
            models.UniqueConstraint(
                fields=["submission"],
                condition=models.Q(is_current=True),
                name="one_current_evaluation_per_submission",
            ),
        ),
        migrations.AddConstraint(
            "merger",
            models.UniqueConstraint(
                fields=["team", "other"],
                condition=models.Q(status="open"),
                name="one_open_offer_per_pair",
            ),
        ),
        migrations.AlterField(
            model_name='batch',
            name='status',
            field=models.CharField(choices=[('draft', 'draft'), ('running', 'running'), ('ready', 'ready to decide'), ('applied', 'applied'), ('cancelled', 'cancelled'), ('undone', 'undone')], default='draft', max_length=10, verbose_name='status'),
        ),
        migrations.AlterField(
            model_name='delivery',
            name='status',
            field=models.CharField(choices=[('waiting', 'waiting'), ('sent', 'delivered'), ('given_up', 'given up')], default='waiting', max_length=10, verbose_name='status'),
        ),
        migrations.AlterField(
            model_name='evaluation',
            name='is_current',
            field=models.BooleanField(default=True, verbose_name='current'),
        ),
        migrations.AlterField(
            model_name='evaluation',
            name='score',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='current_for', to='leaderboard.score'),
        ),
        migrations.AlterField(
            model_name='merger',
            name='status',
            field=models.CharField(choices=[('open', 'not answered yet'), ('accepted', 'accepted'), ('declined', 'declined'), ('withdrawn', 'withdrawn')], default='open', max_length=10, verbose_name='status'),
        ),
        migrations.AlterField(
            model_name='evaluation',
            name='status',
            field=models.CharField(choices=[('queued', 'Queued'), ('running', 'Being graded'), ('scored', 'Scored'), ('rejected', 'Rejected'), ('failed', 'System fault'), ('cancelled', 'Cancelled')], default='queued', max_length=10, verbose_name='status'),
        ),
    ]
