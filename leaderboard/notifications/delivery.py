"""Emptying the outbox: one row at a time, so that a slow receiver holds up nobody but itself."""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPException

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from leaderboard.core import doorbell
from leaderboard.core.clock import soon
from leaderboard.models import Delivery
from leaderboard.notifications import mail, webhook

log = logging.getLogger(__name__)
Status = Delivery.Status
BROKE = "the site could not send it"
# Seconds from each try to the next; after the last the message is given up, about 14 hours after the first.
KEPT = timedelta(days=90)
PAUSES_S = (30, 120, 600, 3600, 14_400, 28_800)


def are_due() -> bool:
    """Whether anything waits for its (next) try."""
    return _due().exists()


def deliver() -> None:
    """Try one message that is due, then ring for the next. Any number of deliverers may run at once."""
    row = _take()
    if row is None:
        return
    _try(row)
    if are_due():
        doorbell.enqueue_delivery()


def forget_old() -> None:
    """For the sweeper: what was told long ago, or given up, is no longer needed."""
    Delivery.objects.filter(ended__lt=Now() - KEPT).delete()


def _due() -> QuerySet[Delivery]:
    return Delivery.objects.filter(status=Status.WAITING, not_before__lte=Now())


def _take() -> Delivery | None:
    """The message that has waited longest, its next try already set: a deliverer that dies loses nothing."""
    with transaction.atomic():
        row = (
            _due()
            .select_for_update(skip_locked=True, of=("self",))
            .select_related("team__contest__version", "user")
            .order_by("not_before", "pk")
            .first()
        )
        if row is None:
            return None
        pause = PAUSES_S[min(row.tries, len(PAUSES_S) - 1)]
        Delivery.objects.filter(pk=row.pk).update(tries=F("tries") + 1, not_before=soon(pause))
        row.tries += 1
        return row


def _try(row: Delivery) -> None:
    try:
        answer = mail.send(row) if row.channel == Delivery.Channel.MAIL else webhook.send(row)
    except webhook.Undeliverable as error:  # will not get better by trying again
        _end(row, Status.GIVEN_UP, str(error))
    except (webhook.Failed, SMTPException, OSError) as error:
        text = str(error) or type(error).__name__
        log.warning("%s %s, try %s: %s", row.channel, row.uid, row.tries, text)
        _fail(row, text)
    except Exception:  # a fault of ours: it is counted too, so that no message waits for ever
        log.exception("%s %s, try %s", row.channel, row.uid, row.tries)
        _fail(row, BROKE)
    else:
        _end(row, Status.SENT, answer)


def _fail(row: Delivery, answer: str) -> None:
    """This try failed; after the last one the message is given up."""
    if row.tries > len(PAUSES_S):
        _end(row, Status.GIVEN_UP, answer)
    else:
        Delivery.objects.filter(pk=row.pk, status=Status.WAITING).update(answer=answer[:200])


def _end(row: Delivery, status: str, answer: str) -> None:
    Delivery.objects.filter(pk=row.pk, status=Status.WAITING).update(
        status=status, answer=answer[:200], ended=Now()
    )
