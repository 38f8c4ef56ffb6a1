"""Notices about workers: the audit log, and email to staff when something needs a person."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from leaderboard.core import audit, doorbell
from leaderboard.models import Worker

log = logging.getLogger(__name__)
Actor = User | str


def record(
    by: Actor,
    verb: str,
    worker: Worker,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Audits an action on a worker, in its transaction. ``by``: a user, ``system``, or a command."""
    after = {"name": worker.name} | (after or {})
    audit.record(by, f"worker.{verb}", worker, before=before, after=after, reason=reason)
    log.info("worker %s: %s by %s (%s)", worker.name, verb, by, reason)


def tell_staff(subject: str, text: str) -> None:
    """Email all staff who have an address, on commit and from the site's own queue."""
    log.error("%s: %s", subject, text)
    addresses = list(
        User.objects.filter(is_staff=True, is_active=True)
        .exclude(email="")
        .values_list("email", flat=True)
    )
    if addresses:
        transaction.on_commit(lambda: doorbell.enqueue_mail(subject, text, addresses))
