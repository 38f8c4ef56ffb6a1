"""Delivering the outbox, one row at a time so that a slow receiver delays only itself."""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPException
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import translation

from leaderboard.core import doorbell
from leaderboard.core.clock import soon
from leaderboard.models import Delivery
from leaderboard.notifications import mail, webhook

log = logging.getLogger(__name__)
Status, Answer = Delivery.Status, Delivery.Answer
# Seconds between tries; the message is given up after the last one, about 14 hours after the first.
KEPT = timedelta(days=90)
PAUSES_S = (30, 120, 600, 3600, 14_400, 28_800)


def are_due() -> bool:
    """Whether any message is waiting for its (next) try."""
    return _due().exists()


def deliver() -> None:
    """Try one message that is due, then ring for the next. Any number of processes may run this in parallel."""
    row = _take()
    if row is None:
        return
    _try(row)
    if are_due():
        doorbell.enqueue_delivery()


def forget_old() -> None:
    """For the sweeper: delete messages that were delivered, or given up, long ago."""
    Delivery.objects.filter(ended__lt=Now() - KEPT).delete()


def _due() -> QuerySet[Delivery]:
    return Delivery.objects.filter(status=Status.WAITING, not_before__lte=Now())


def _take() -> Delivery | None:
    """The message that has waited longest, with its next try already scheduled in case of a crash here."""
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
    except webhook.Undeliverable as error:  # retrying will not help
        _end(row, Status.GIVEN_UP, error.code, error.parameters)
    except webhook.Failed as error:
        _warn(row, error)
        _fail(row, error.code, error.parameters)
    except (SMTPException, OSError) as error:
        _warn(row, error)
        _fail(row, Answer.TEXT, {"text": _text(error)})
    except Exception:  # our own bug; counted as a try, so that no message waits forever
        log.exception("%s %s, try %s", row.channel, row.uid, row.tries)
        _fail(row, Answer.BROKE)
    else:
        _end(row, Status.SENT, Answer.TEXT if answer else "", {"text": answer})


def _text(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__


def _warn(row: Delivery, error: Exception) -> None:
    with translation.override("en"):  # logged by the caller
        log.warning("%s %s, try %s: %s", row.channel, row.uid, row.tries, _text(error))


def _fail(row: Delivery, code: str, parameters: dict[str, Any] | None = None) -> None:
    """Record a failed try; after the last one the message is given up."""
    if row.tries > len(PAUSES_S):
        _end(row, Status.GIVEN_UP, code, parameters)
    else:
        Delivery.objects.filter(pk=row.pk, status=Status.WAITING).update(
            answer_code=code, answer_parameters=parameters or {}
        )


def _end(row: Delivery, status: str, code: str, parameters: dict[str, Any] | None = None) -> None:
    Delivery.objects.filter(pk=row.pk, status=Status.WAITING).update(
        status=status, answer_code=code, answer_parameters=parameters or {}, ended=Now()
    )
