"""The site's Django app configuration."""

from pathlib import Path

from django.apps import AppConfig
from django.conf import settings


class LeaderboardConfig(AppConfig):
    name = "leaderboard"
    verbose_name = "Leaderboard"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in

        from leaderboard import celery, checks  # noqa: F401  (registers the app and the system checks)
        from leaderboard.accounts import tokens

        user_logged_in.connect(tokens.greet, dispatch_uid="greet")
        Path(settings.FILE_UPLOAD_TEMP_DIR).mkdir(mode=0o700, parents=True, exist_ok=True)
