"""GPU boxes."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from leaderboard.models import (
    Worker,
)


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin):
    list_display = ("name", "device", "sandbox", "last_seen", "revoked")
    readonly_fields = ("device", "sandbox", "versions", "last_seen", "revoked")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # manage.py addworker prints the token once
