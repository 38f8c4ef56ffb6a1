"""The site's Celery app. GPU workers run ``grader.worker.celery`` instead.

Two queues, each with a worker of its own: ``checks`` for preflight, which can take minutes, and ``site`` for
sweeping, notifying and everything else that must not wait for it.

A companion sweeps, and does the work of both queues while there is no broker.
"""

from __future__ import annotations

import os
from logging.config import dictConfig
from typing import Any

from celery import Celery, bootsteps, signals
from django.conf import settings

from grader import companion, health

SWEEP_EVERY_S = 15.0
_STARTED = os.getpid()  # the worker's main process; its children inherit the number

app = Celery("leaderboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["leaderboard"])


@signals.setup_logging.connect
def log_as_the_site_does(**_: Any) -> None:
    """Celery's own setup would install its own handlers and format."""
    dictConfig(settings.LOGGING)


@signals.beat_embedded_init.connect
def end_beat_with_the_worker(**_: Any) -> None:
    """Beat is forked by the worker, and would outlive its ``kill -9``."""
    companion.end_with(_STARTED)


class Sweeping(bootsteps.StartStopStep):
    """A step of the worker itself: its consumer does not start before the broker answers."""

    requires = ("celery.worker.components:Pool",)  # forked before there is a thread

    def start(self, parent: Any) -> None:
        self.obj = companion.Companion("django", "sweep", "--every", str(SWEEP_EVERY_S))
        self.obj.start()


class Health(bootsteps.StartStopStep):
    """A consumer step, because losing the connection clears timers and each new connection starts the step."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, parent: Any) -> None:
        health.touch_regularly(parent.timer.call_repeatedly)


app.steps["worker"].add(Sweeping)
app.steps["consumer"].add(Health)
