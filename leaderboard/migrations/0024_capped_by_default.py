from django.db import migrations, models


class Migration(migrations.Migration):
    """What is already there was scored without a cap and stays so; what is loaded from now on has one.

    Filled by the column's default rather than an update, which the triggers of a final contest would refuse.
    """

    dependencies = [
        ('leaderboard', '0023_put_back'),
    ]

    operations = [
        migrations.AddField(
            model_name='contestversion',
            name='capped_by_default',
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AlterField(
            model_name='contestversion',
            name='capped_by_default',
            field=models.BooleanField(default=True, editable=False),
        ),
    ]
