"""The doorbell: a Celery worker on the ``gpu`` queue whose only message is "look for work".

``celery -A grader.worker.celery worker --queues gpu --concurrency 1 --beat``. Celery beat rings every 30
seconds, so a lost message delays the work by at most 30 seconds.
"""

from __future__ import annotations

import logging
from logging.config import dictConfig
from typing import Any

from celery import Celery, bootsteps, signals

from grader import health, logs
from grader.worker.settings import Settings

RING_EVERY_S = 30.0

app = Celery("grader", broker=Settings.from_env().redis_url, include=["grader.worker.tasks"])
app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_default_queue="gpu",
    # Acknowledge the message before the work starts: the queue that counts is in the site's database, and a
    # message redelivered by Redis would only ring again.
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_concurrency=1,
    worker_max_tasks_per_child=1,  # otherwise lm-eval and torch stay in memory
    broker_connection_retry_on_startup=True,
    beat_schedule={
        "ring": {
            "task": "grader.ring",
            "schedule": RING_EVERY_S,
            "options": {"queue": "gpu", "expires": RING_EVERY_S - 5},
        }
    },
)


@signals.setup_logging.connect
def log_as_the_site_does(loglevel: int | None = None, **_: Any) -> None:
    """Configure our logging. Celery's own setup would add its handlers and format first."""
    level = logging.getLevelName(loglevel or logging.INFO)
    dictConfig(logs.config(Settings.from_env().log_format, level))


class Health(bootsteps.StartStopStep):
    """A step of the consumer, so that it restarts with each connection: losing a connection clears the
    timer."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, parent: Any) -> None:
        health.touch_regularly(parent.timer.call_repeatedly)


app.steps["consumer"].add(Health)
