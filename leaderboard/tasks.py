"""Celery tasks of the queues ``checks`` and ``site``: thin wrappers around functions that work without it."""

from __future__ import annotations

from celery import shared_task
from django.core.mail import send_mail

from leaderboard import batches, notifications, repeats
from leaderboard.models import Batch, Contest
from leaderboard.operations import sweeper
from leaderboard.organisers import closing
from leaderboard.submissions import dry_run, preflight


@shared_task(name="leaderboard.check")
def check(evaluation_id: int) -> None:
    preflight.check(evaluation_id)


@shared_task(name="leaderboard.dry_run")
def only_check(key: str) -> None:
    dry_run.run(key)


@shared_task(name="leaderboard.batch")
def batch(batch_id: int) -> None:
    batches.advance(Batch.objects.get(pk=batch_id))


@shared_task(name="leaderboard.repeats")
def pool_repeats(contest: str) -> None:
    repeats.settle(Contest.objects.in_force().get(pk=contest))


@shared_task(name="leaderboard.seal")
def seal(contest: str) -> None:
    closing.seal(Contest.objects.select_related("version").get(pk=contest))


@shared_task(name="leaderboard.sweep")
def sweep() -> None:
    sweeper.sweep()


@shared_task(name="leaderboard.deliver")
def deliver() -> None:
    notifications.deliver()


@shared_task(name="leaderboard.mail", autoretry_for=(OSError,), retry_backoff=30, max_retries=5)
def mail(subject: str, text: str, addresses: list[str]) -> None:
    send_mail(subject, text, None, addresses)
