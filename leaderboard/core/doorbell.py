"""The doorbell. Redis only carries "look": PostgreSQL knows what there is to do.

A ring that fails is logged and dropped, because the sweeper rings again and idle workers poll anyway.
"""

from __future__ import annotations

import logging

from kombu.exceptions import OperationalError

from leaderboard.celery import app

log = logging.getLogger(__name__)


def ring_workers() -> None:
    """Prompt GPU workers to ask for work."""
    _ring("grader.ring", queue="gpu", expires=25)


def enqueue_check(evaluation_id: int) -> None:
    """Queue an evaluation's preflight on the check worker."""
    _ring("leaderboard.check", queue="checks", args=[evaluation_id])


def enqueue_dry_run(key: str) -> None:
    """Queue a check without an entry on the check worker."""
    _ring("leaderboard.dry_run", queue="checks", args=[key])


def enqueue_delivery() -> None:
    """Queue the delivery of notifications on the site worker."""
    _ring("leaderboard.deliver", queue="site")


def enqueue_mail(subject: str, text: str, addresses: list[str]) -> None:
    """Queue an email on the site worker."""
    _ring("leaderboard.mail", queue="site", args=[subject, text, addresses])


def enqueue_batch(batch_id: int) -> None:
    """Queue the next step of a running batch on the site worker."""
    _ring("leaderboard.batch", queue="site", args=[batch_id])


def enqueue_seal(contest: str) -> None:
    """Queue the sealing of a finalized contest's evidence on the site worker."""
    _ring("leaderboard.seal", queue="site", args=[contest])


def _ring(task: str, **options: object) -> None:
    try:
        app.send_task(task, ignore_result=True, **options)  # type: ignore[arg-type]
    except (OperationalError, OSError) as error:
        log.warning("could not ring %s (%s); the sweeper will", task, error)
