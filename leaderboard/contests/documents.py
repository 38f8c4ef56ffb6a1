"""A contest's JSON document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from ninja import Schema

from grader.text import Text
from leaderboard.models import Contest


class TextOut(Schema):
    """A text in both languages."""

    en: str
    ko: str


class LimitsOut(Schema):
    archive_bytes: int
    submissions_per_day: int


class WeightsOut(Schema):
    """Each term's weight in the score."""

    accuracy: float
    memory: float
    speed: float


class PhaseOut(Schema):
    id: str
    title: TextOut
    start: datetime
    end: datetime


class ContestOut(Schema):
    """``is_open``: whether it takes entries now. ``sha256``: of the contest file in force, without its salt."""

    id: str
    title: TextOut
    summary: TextOut
    base_model: str
    sha256: str
    is_open: bool
    limits: LimitsOut
    formula: str
    weights: WeightsOut
    timezone: str
    phases: list[PhaseOut]
    is_revealed: bool
    url: str


def contest_json(row: Contest) -> dict[str, Any]:
    rules = row.rules
    return ContestOut(
        id=row.slug,
        title=_both(rules.title),
        summary=_both(rules.summary),
        base_model=rules.base_model.id,
        sha256=rules.public_sha256,
        is_open=row.accepts_submissions,
        limits=LimitsOut(
            archive_bytes=rules.limits.archive_bytes,
            submissions_per_day=rules.limits.submissions_per_day,
        ),
        formula=rules.scoring.formula,
        weights=WeightsOut(
            accuracy=rules.formula.accuracy,
            memory=rules.formula.memory,
            speed=rules.formula.speed,
        ),
        timezone=rules.timezone,
        phases=[
            PhaseOut(id=phase.id, title=_both(phase.title), start=phase.start, end=phase.end)
            for phase in rules.phases
        ],
        is_revealed=row.revealed_at is not None,
        url=settings.SITE_URL + row.get_absolute_url(),
    ).dict()


def _both(text: Text) -> TextOut:
    return TextOut(en=text.en, ko=text.ko)
