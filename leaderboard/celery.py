"""The site's Celery app: preflight, sweeping. GPU workers run ``grader.worker.celery`` instead."""

from __future__ import annotations

from celery import Celery

app = Celery("leaderboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["leaderboard"])
