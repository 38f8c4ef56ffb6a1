"""The site's Celery app. GPU workers run ``grader.worker.celery`` instead.

Two queues, each with a worker of its own: ``checks`` for preflight, which can take minutes, and ``site`` for
sweeping, notifying and everything else that must not wait for it.
"""

from __future__ import annotations

from logging.config import dictConfig
from typing import Any

from celery import Celery, bootsteps, signals
from django.conf import settings

from grader import health

app = Celery("leaderboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["leaderboard"])


@signals.setup_logging.connect
def log_as_the_site_does(**_: Any) -> None:
    """Celery's own setup would install its own handlers and format."""
    dictConfig(settings.LOGGING)


class Health(bootsteps.StartStopStep):
    """A consumer step, because losing the connection clears timers and each new connection starts the step."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, parent: Any) -> None:
        health.touch_regularly(parent.timer.call_repeatedly)


app.steps["consumer"].add(Health)
