"""The doorbell: a Celery worker on the ``gpu`` queue that is only ever told "look".

``celery -A grader.worker.celery worker --queues gpu --concurrency 1 --beat``. The beat rings every 30 seconds,
so a message that got lost costs 30 seconds and nothing else.
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
    # The message is gone before the work starts: the queue that counts is the site's database, and a message
    # that Redis delivers again would only ring once more.
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_concurrency=1,
    worker_max_tasks_per_child=1,  # lm-eval and torch stay in memory otherwise
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
    """Celery's own set-up would put its handlers and its format in front."""
    level = logging.getLevelName(loglevel or logging.INFO)
    dictConfig(logs.config(Settings.from_env().log_format, level))


class Health(bootsteps.StartStopStep):
    """A step of the consumer, so that it starts anew with each connection: losing one clears the timer."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, parent: Any) -> None:
        health.touch_regularly(parent.timer.call_repeatedly)


app.steps["consumer"].add(Health)
