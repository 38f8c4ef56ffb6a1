"""The audit log of staff actions, written in the transaction of the action so that neither exists alone."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model

from leaderboard.models import AuditEntry


def record(
    by: object,
    action: str,
    thing: Model,
    *,
    contest: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Append one entry.

    Args:
        by: the staff member, or the name of a command.
        action: ``noun.verb``.
        before, after: the values that changed.
    """
    return AuditEntry.objects.create(
        by=by if isinstance(by, User) else None,
        by_name=str(by)[:150],
        action=action,
        target=thing._meta.model_name or "",
        target_id=str(thing.pk),
        contest=contest,
        before=_plain(before or {}),
        after=_plain(after or {}),
        reason=reason,
    )


def _plain(values: dict[str, Any]) -> Any:
    """Convert to a JSON value; anything JSON cannot hold becomes a string."""
    return json.loads(json.dumps(values, cls=_Encoder))


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        try:
            return super().default(o)
        except TypeError:
            return str(o)
