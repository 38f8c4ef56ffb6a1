"""Reports as they are stored, packed, and as the worker sent them, whole."""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from typing import Any

from django.db import transaction

from grader.protocol.documents import Report
from grader.schema import encode
from grader.scoring import compact, inputs
from leaderboard.lifecycle.score_inputs import content_of, keep_inputs, keep_shared, score_inputs
from leaderboard.models import Evaluation, Result, ScoreInputs

PACKED_A_ROUND = 50  # about 0.1 s each
log = logging.getLogger(__name__)


def store_report(evaluation: Evaluation, attempt: int, report: Report) -> None:
    """Store the report; :func:`whole_report` gives it back unchanged."""
    stored = _compacted(encode(report))
    Result.objects.create(evaluation=evaluation, attempt=attempt, report=stored, is_packed=True)
    keep_inputs(evaluation.pk, inputs.of(report))


def whole_report(result: Result) -> dict[str, Any]:
    """The report's JSON, as the worker sent it."""
    report: dict[str, Any] = result.report
    if not result.is_packed:
        return report
    (measured,) = score_inputs([result.pk]).values()
    return compact.whole(report, measured.answers, shared)


# Reports of one contest have a handful of these in common.
@lru_cache(maxsize=64)
def shared(sha256: str) -> Any:
    """A list of prompts or tensors."""
    return json.loads(content_of(sha256))


def pack_old_reports(limit: int = PACKED_A_ROUND) -> int:
    """For the sweeper: pack reports that an older release stored whole; returns how many are now decided.

    Those of a finalized contest stay, because the database refuses to change them. So does a report that would
    not come back equal.
    """
    old = Result.objects.filter(is_packed__isnull=True)
    open_ = old.filter(evaluation__submission__contest__finalised_at=None)
    rows = list(open_.order_by("pk")[:limit])
    for row in rows:
        try:
            with transaction.atomic():
                _pack(row)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("the report of evaluation %s stays whole: %r", row.pk, error)
            Result.objects.filter(pk=row.pk).update(is_packed=False)
    return len(rows)


def _pack(row: Result) -> None:
    stored = _compacted(row.report)
    if not ScoreInputs.objects.filter(pk=row.pk).exists():
        keep_inputs(row.pk, inputs.of_document(row.report))
    packed = Result(evaluation_id=row.pk, report=stored, is_packed=True)
    if whole_report(packed) != row.report:
        raise ValueError("it would not come back equal")
    Result.objects.filter(pk=row.pk).update(report=stored, is_packed=True)


def _compacted(report: dict[str, Any]) -> dict[str, Any]:
    stored, found = compact.compact(report)
    keep_shared(found)
    return stored
