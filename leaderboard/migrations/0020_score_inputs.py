import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Reports are packed into their inputs when they arrive, older ones at the first rescore."""

    dependencies = [("leaderboard", "0019_codes_of_sentences")]

    operations = [
        migrations.CreateModel(
            name="SharedInput",
            fields=[
                (
                    "sha256",
                    models.CharField(max_length=64, primary_key=True, serialize=False),
                ),
                ("content", models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name="ScoreInputs",
            fields=[
                (
                    "evaluation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="leaderboard.evaluation",
                    ),
                ),
                ("benchmarks", models.JSONField()),
                ("values", models.BinaryField()),
                ("checkpoint_bytes", models.BigIntegerField()),
                ("base_bytes", models.BigIntegerField()),
                ("log_ratios", models.JSONField()),
            ],
        ),
        migrations.DeleteModel(name="Draws"),
    ]
