"""The audit log in the admin: searchable, exportable, never editable. Admin changes are logged in it too."""

from __future__ import annotations

import csv
import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.db.models.signals import post_save
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from leaderboard.admin.history import ReadOnly
from leaderboard.models import AuditEntry, Contest

COLUMNS = (
    "created", "by_name", "action", "target", "target_id", "contest", "reason", "before", "after",
)  # fmt: skip
VERBS = {1: "admin.add", 2: "admin.change", 3: "admin.delete"}  # of django.contrib.admin.models


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("created", "by_name", "action", "target", "target_id", "contest", "reason")
    list_filter = ("action", "contest", "target")
    search_fields = ("by_name", "action", "=target_id", "contest", "reason")
    date_hierarchy = "created"
    actions = ("as_csv", "as_json")

    @admin.action(description=_("Export as CSV"))
    def as_csv(self, request: HttpRequest, chosen: QuerySet[AuditEntry]) -> HttpResponse:
        response = HttpResponse(content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="audit.csv"'
        writer = csv.writer(response)
        writer.writerow(COLUMNS)
        for row in chosen.values_list(*COLUMNS):
            writer.writerow([_cell(value) for value in row])
        return response

    @admin.action(description=_("Export as JSON"))
    def as_json(self, request: HttpRequest, chosen: QuerySet[AuditEntry]) -> HttpResponse:
        body = json.dumps(list(chosen.values(*COLUMNS)), cls=DjangoJSONEncoder, ensure_ascii=False)
        response = HttpResponse(body, content_type="application/json")
        response["Content-Disposition"] = 'attachment; filename="audit.json"'
        return response


def _cell(value: Any) -> str:
    """Escape text that a spreadsheet would run as a formula."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def keep(sender: type[LogEntry], instance: LogEntry, **_: Any) -> None:
    """Copy the admin's own record of a change to the audit log, in the same transaction."""
    kind = instance.content_type
    known = kind.model_class() if kind else None
    thing = known._default_manager.filter(pk=instance.object_id).first() if known else None
    contest = thing.pk if isinstance(thing, Contest) else getattr(thing, "contest_id", "")
    AuditEntry.objects.create(
        by=instance.user,
        by_name=str(instance.user),
        action=VERBS[instance.action_flag],
        target=kind.model if kind else "",
        target_id=str(instance.object_id or "")[:64],
        contest=str(contest or ""),
        after={"object": instance.object_repr, "change": instance.get_change_message()},
    )


post_save.connect(keep, sender=LogEntry, dispatch_uid="audit of the admin")
