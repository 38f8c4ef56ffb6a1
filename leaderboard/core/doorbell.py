"""The doorbell. Redis only carries "look": PostgreSQL knows what there is to do.

A ring that fails is logged and dropped, because the sweeper rings again and idle workers poll anyway.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kombu.exceptions import OperationalError

from leaderboard.celery import app

log = logging.getLogger(__name__)
SITE_QUEUE, CHECK_QUEUE, WORKER_QUEUE = "site", "checks", "gpu"


@dataclass(frozen=True, slots=True)
class Ring:
    """A message to the site's own workers that the broker did not take."""

    queue: str
    task: str
    args: tuple[object, ...]


@dataclass(slots=True)
class _Keeping:
    """Unheard rings of this process, while somebody keeps them; None: they are dropped."""

    rings: list[Ring] | None = field(default=None)


_keeping = _Keeping()


@contextmanager
def keep_unheard() -> Iterator[list[Ring]]:
    """Collect the site's rings that the broker does not take; after the first, it is not asked again.

    For a process with one thread that can do the work itself.
    """
    unheard: list[Ring] = []
    _keeping.rings = unheard
    try:
        yield unheard
    finally:
        _keeping.rings = None


def ring_workers() -> None:
    """Prompt GPU workers to ask for work."""
    _ring("grader.ring", queue=WORKER_QUEUE, expires=25)


def enqueue_check(evaluation_id: int) -> None:
    """Queue an evaluation's preflight on the check worker."""
    _ring("leaderboard.check", queue=CHECK_QUEUE, args=[evaluation_id])


def enqueue_dry_run(key: str) -> None:
    """Queue a check without an entry on the check worker."""
    _ring("leaderboard.dry_run", queue=CHECK_QUEUE, args=[key])


def enqueue_delivery() -> None:
    """Queue the delivery of notifications on the site worker."""
    _ring("leaderboard.deliver", queue=SITE_QUEUE)


def enqueue_mail(subject: str, text: str, addresses: list[str]) -> None:
    """Queue an email on the site worker."""
    _ring("leaderboard.mail", queue=SITE_QUEUE, args=[subject, text, addresses])


def enqueue_batch(batch_id: int) -> None:
    """Queue the next step of a running batch on the site worker."""
    _ring("leaderboard.batch", queue=SITE_QUEUE, args=[batch_id])


def enqueue_repeats(contest: str) -> None:
    """Queue pooling a contest's repeated checkpoints and confirming its first places on the site worker."""
    _ring("leaderboard.repeats", queue=SITE_QUEUE, args=[contest])


def enqueue_seal(contest: str) -> None:
    """Queue the sealing of a finalized contest's evidence on the site worker."""
    _ring("leaderboard.seal", queue=SITE_QUEUE, args=[contest])


def _ring(
    task: str, *, queue: str, args: list[object] | None = None, expires: float | None = None
) -> None:
    if not _keeping.rings:
        try:
            app.send_task(task, args=args, queue=queue, expires=expires, ignore_result=True)
        except (OperationalError, OSError) as error:
            log.warning("could not ring %s (%s); the sweeper will", task, error)
        else:
            return
    if _keeping.rings is not None and queue != WORKER_QUEUE:
        _keeping.rings.append(Ring(queue, task, tuple(args or ())))
