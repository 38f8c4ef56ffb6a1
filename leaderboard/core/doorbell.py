"""The doorbell. Redis only carries "look": PostgreSQL knows what there is to do.

A bell that cannot be rung is noted and forgotten, because the sweeper rings again and idle workers ask anyway.
"""

from __future__ import annotations

import logging

from kombu.exceptions import OperationalError

from leaderboard.celery import app

log = logging.getLogger(__name__)


def ring_workers() -> None:
    """Tell GPU workers to ask for work."""
    _ring("grader.ring", queue="gpu", expires=25)


def enqueue_check(evaluation_id: int) -> None:
    """Have an evaluation's preflight done on the site queue."""
    _ring("leaderboard.check", queue="site", args=[evaluation_id])


def enqueue_dry_run(key: str) -> None:
    """Have a check without an entry made on the site queue."""
    _ring("leaderboard.dry_run", queue="site", args=[key])


def enqueue_delivery() -> None:
    """Have what teams are to be told delivered on the site queue."""
    _ring("leaderboard.deliver", queue="site")


def enqueue_mail(subject: str, text: str, addresses: list[str]) -> None:
    """Have a mail sent from the site queue."""
    _ring("leaderboard.mail", queue="site", args=[subject, text, addresses])


def enqueue_batch(batch_id: int) -> None:
    """Have a running batch go on, on the site queue."""
    _ring("leaderboard.batch", queue="site", args=[batch_id])


def enqueue_seal(contest: str) -> None:
    """Have the evidence of a finalised contest sealed, on the site queue."""
    _ring("leaderboard.seal", queue="site", args=[contest])


def _ring(task: str, **options: object) -> None:
    try:
        app.send_task(task, ignore_result=True, **options)  # type: ignore[arg-type]
    except (OperationalError, OSError) as error:
        log.warning("could not ring %s (%s); the sweeper will", task, error)
