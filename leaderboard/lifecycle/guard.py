"""What every verb builds on: the guarded update, the transition row, the database's clock."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.core.files.storage import default_storage
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import translation

from grader.problems.catalogue import Problem
from grader.schema import encode
from leaderboard import notifications
from leaderboard.core.clock import soon
from leaderboard.models import (
    Attempt,
    Evaluation,
    Transition,
)

__all__ = ["Code", "StaleAttempt", "Status", "close_attempt", "end", "holding", "note", "soon"]

log = logging.getLogger(__name__)
Status = Evaluation.Status
Code = Transition.Code


class StaleAttempt(Exception):
    """The message belongs to an attempt that no longer holds the lease; nothing was written."""


def holding(evaluation_id: int, attempt: int) -> models.QuerySet[Evaluation]:
    return Evaluation.objects.filter(pk=evaluation_id, status=Status.RUNNING, attempt=attempt)


def end(
    which: Q, new: Status, problems: list[Problem], by: str, *, keep_archive: bool = False
) -> bool:
    """Move one evaluation to a final status; an archive that will not be graded is deleted on commit."""
    with transaction.atomic():
        row = (
            Evaluation.objects.select_for_update(of=("self",))
            .select_related("submission")
            .filter(which)
            .first()
        )
        if row is None:
            return False
        Evaluation.objects.filter(pk=row.pk).update(
            status=new,
            problems=encode(problems),
            lease_until=None,
            finished=Now(),
        )
        codes = [problem.code for problem in problems]
        if codes:
            note(row.pk, row.status, new, by, Code.PROBLEMS, codes=codes)
        else:
            note(row.pk, row.status, new, by)
        notifications.evaluation_ended(row.pk)
        keep_archive = (
            keep_archive or not row.is_current
        )  # another evaluation of the entry is current
        if new in (Status.REJECTED, Status.CANCELLED) and not keep_archive:
            archive = row.submission.archive
            if archive:
                transaction.on_commit(lambda: default_storage.delete(archive))
    return True


def close_attempt(
    evaluation_id: int,
    number: int,
    outcome: str,
    problems: Iterable[Problem] = (),
    tail: str = "",
    stages: Iterable[dict[str, Any]] = (),
    base_times: dict[str, float] | None = None,
) -> None:
    Attempt.objects.filter(evaluation_id=evaluation_id, number=number, ended__isnull=True).update(
        ended=Now(),
        outcome=outcome,
        problems=encode(list(problems)),
        log=tail,
        stages=list(stages),
        base_times=base_times or {},
    )


def note(
    evaluation_id: int, old: str, new: str, by: str, code: str = "", **parameters: Any
) -> None:
    """Append a transition; the parameters fill the code's sentence."""
    row = Transition.objects.create(
        evaluation_id=evaluation_id, old=old, new=new, by=by[:150], code=code, parameters=parameters
    )
    with translation.override("en"):
        reason = row.reason
    log.info("evaluation %d: %s → %s (%s) by %s", evaluation_id, old or "new", new, reason, by)
