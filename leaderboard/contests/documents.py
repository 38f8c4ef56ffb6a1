"""JSON documents of a contest."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from leaderboard.models import Contest


def contest_json(row: Contest) -> dict[str, Any]:
    rules = row.rules
    return {
        "id": row.slug,
        "title": {"en": rules.title.en, "ko": rules.title.ko},
        "summary": {"en": rules.summary.en, "ko": rules.summary.ko},
        "base_model": rules.base_model.id,
        "sha256": rules.sha256,
        "is_open": row.accepts_submissions,
        "limits": {
            "archive_bytes": rules.limits.archive_bytes,
            "submissions_per_day": rules.limits.submissions_per_day,
        },
        "formula": rules.scoring.formula,
        "weights": {
            "accuracy": rules.formula.accuracy,
            "memory": rules.formula.memory,
            "speed": rules.formula.speed,
        },
        "timezone": rules.timezone,
        "phases": [
            {
                "id": phase.id,
                "title": {"en": phase.title.en, "ko": phase.title.ko},
                "start": phase.start,
                "end": phase.end,
            }
            for phase in rules.phases
        ],
        "is_revealed": row.revealed_at is not None,
        "url": settings.SITE_URL + row.get_absolute_url(),
    }
