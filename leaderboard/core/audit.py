"""Writing down what staff did. Called inside the transaction of the act: neither is there without the other."""

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
        by: the member of staff, or the name of a command.
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
    """As JSON holds it; a thing that JSON does not know becomes its text."""
    return json.loads(json.dumps(values, cls=_Encoder))


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        try:
            return super().default(o)
        except TypeError:
            return str(o)
