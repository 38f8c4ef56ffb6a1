"""The doorbell: a Celery worker on the ``gpu`` queue whose only message is "look for work".

``celery -A grader.worker.celery worker --queues gpu --concurrency 1``. Its companion,
:mod:`grader.worker.polling`, asks and grades. It also runs while there is no broker, so a lost message delays
the work by at most 30 seconds.
"""

from __future__ import annotations

import logging
from logging.config import dictConfig
from typing import Any

from celery import Celery, bootsteps, signals

from grader import companion, health, logs
from grader.worker.settings import Settings

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
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # the worker goes on without it, and listens again when it is back
)


@signals.setup_logging.connect
def log_as_the_site_does(loglevel: int | None = None, **_: Any) -> None:
    """Configure our logging. Celery's own setup would add its handlers and format first."""
    level = logging.getLevelName(loglevel or logging.INFO)
    dictConfig(logs.config(Settings.from_env().log_format, level))


class Polling(bootsteps.StartStopStep):
    """A step of the worker itself: its consumer does not start before the broker answers."""

    requires = ("celery.worker.components:Pool",)  # forked before there is a thread

    def start(self, parent: Any) -> None:
        level = logging.getLevelName(logging.getLogger().getEffectiveLevel())
        self.obj = companion.Companion("grader.worker.polling", "--loglevel", level)
        self.obj.start()


class Health(bootsteps.StartStopStep):
    """A step of the consumer, so that it restarts with each connection: losing a connection clears the
    timer."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, parent: Any) -> None:
        health.touch_regularly(parent.timer.call_repeatedly)


app.steps["worker"].add(Polling)
app.steps["consumer"].add(Health)
