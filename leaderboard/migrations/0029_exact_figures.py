from django.db import migrations, models


class Migration(migrations.Migration):
    """Contests that are already there go on showing exact figures; new ones do not.

    Filled by the column's default rather than an update, which the triggers of a final contest would refuse.
    """

    dependencies = [
        ('leaderboard', '0028_pools'),
    ]

    operations = [
        migrations.AddField(
            model_name='contest',
            name='exact_figures',
            field=models.BooleanField(default=True, help_text='From a few hundred of them, participants can compute which questions are public.', verbose_name='exact public figures for everybody'),
        ),
        migrations.AlterField(
            model_name='contest',
            name='exact_figures',
            field=models.BooleanField(default=False, help_text='From a few hundred of them, participants can compute which questions are public.', verbose_name='exact public figures for everybody'),
        ),
    ]
