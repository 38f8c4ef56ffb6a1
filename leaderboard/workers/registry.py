"""The only writer of workers: registered, seen, drained, resumed, retired."""

from __future__ import annotations

import secrets

from django.db import IntegrityError, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Now

from grader.protocol import worker as protocol
from grader.protocol.worker import Introduction
from leaderboard.models import Worker
from leaderboard.workers import notices
from leaderboard.workers.notices import Actor

PREFIX = "pbw"


class NameTaken(Exception):
    """A worker with that name is already registered."""


def register(name: str, *, by: Actor) -> tuple[Worker, str]:
    """Create a worker and its token, which cannot be read again.

    Raises:
        NameTaken: a worker that is not retired has that name.
    """
    try:
        with transaction.atomic():
            worker, token = Worker.issue(PREFIX, name=name)
            notices.record(by, "register", worker)
    except IntegrityError as error:
        raise NameTaken(name) from error
    return worker, token


def renew(worker: Worker, *, by: Actor) -> str:
    """Give a worker a new token; the old one stops working immediately."""
    token = f"{PREFIX}_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        Worker.objects.filter(pk=worker.pk).update(digest=Worker.digest_of(token), revoked=None)
        notices.record(by, "renew", worker)
    return token


def introduce(worker: Worker, said: Introduction) -> Worker:
    """Store what the worker reports about itself, by the database's clock; returns the updated row."""
    boot = said.boot[: protocol.BOOT_CHARS]
    Worker.objects.filter(pk=worker.pk).update(
        device=said.device[: protocol.DEVICE_CHARS],
        device_name=said.device_name[: protocol.DEVICE_NAME_CHARS],
        memory_bytes=said.memory_bytes,
        compute_capability=said.compute_capability,
        gpu_count=said.gpu_count,
        sandbox=said.sandbox[: protocol.SANDBOX_CHARS],
        versions=said.versions,
        contests=said.contests,
        booted=Case(When(boot=Value(boot), then=F("booted")), default=Now()),
        boot=boot,
        last_seen=Now(),
    )
    return Worker.objects.get(pk=worker.pk)


def saw(worker: Worker) -> None:
    """Record that the worker sent something."""
    Worker.objects.filter(pk=worker.pk).update(last_seen=Now())


def drain(worker: Worker, reason: str, *, by: Actor) -> bool:
    """Stop giving this worker new work; it finishes its current grade. False if it was already drained."""
    with transaction.atomic():
        changed = (
            Worker.objects.accepting()
            .filter(pk=worker.pk)
            .update(drained=Now(), drain_reason=reason[:300])
        )
        if changed:
            notices.record(by, "drain", worker, after={"drained": True}, reason=reason)
    return bool(changed)


def resume(worker: Worker, *, by: Actor, reason: str = "") -> bool:
    """Give this worker work again. False if it was not drained, or is retired."""
    with transaction.atomic():
        row = Worker.objects.select_for_update().get(pk=worker.pk)
        if row.drained is None or row.revoked is not None:
            return False
        Worker.objects.filter(pk=worker.pk).update(drained=None, drain_reason="")
        before = {"drained": True, "reason": row.drain_reason}
        after = {"drained": False}
        notices.record(by, "resume", worker, before=before, after=after, reason=reason)
    return True


def retire(worker: Worker, *, by: Actor, reason: str = "") -> bool:
    """Revoke the worker's token forever; an attempt it holds returns to the queue when the lease runs out."""
    with transaction.atomic():
        changed = Worker.objects.registered().filter(pk=worker.pk).update(revoked=Now())
        if changed:
            notices.record(by, "retire", worker, after={"retired": True}, reason=reason)
    return bool(changed)
