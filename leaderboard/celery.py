"""The site's Celery app: preflight, sweeping. GPU workers run ``grader.worker.celery`` instead."""

from __future__ import annotations

from logging.config import dictConfig
from typing import Any

from celery import Celery, signals
from django.conf import settings

app = Celery("leaderboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["leaderboard"])


@signals.setup_logging.connect
def log_as_the_site_does(**_: Any) -> None:
    """Celery's own set-up would put its handlers and its format in front."""
    dictConfig(settings.LOGGING)
