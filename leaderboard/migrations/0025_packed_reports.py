from django.db import migrations, models

from leaderboard.models import triggers


class Migration(migrations.Migration):
    """Reports are stored without what they have in common. The sweeper packs older ones, a few each round."""

    dependencies = [("leaderboard", "0024_capped_by_default")]

    operations = [
        migrations.AddField(
            model_name="result",
            name="is_packed",
            field=models.BooleanField(null=True),
        ),
        migrations.AddIndex(
            model_name="result",
            index=models.Index(
                fields=["evaluation"],
                name="reports_to_pack",
                condition=models.Q(is_packed__isnull=True),
            ),
        ),
        migrations.RunSQL(triggers.CREATE_PACKED, triggers.REMOVE_PACKED),
    ]
