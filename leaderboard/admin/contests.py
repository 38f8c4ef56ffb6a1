"""Contests and their versions."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from leaderboard.admin.history import ReadOnly
from leaderboard.models import (
    Contest,
    ContestVersion,
)


@admin.register(Contest)
class ContestAdmin(admin.ModelAdmin):
    list_display = ("slug", "version", "is_open", "created")
    readonly_fields = ("slug", "version")
    list_select_related = ("version",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # manage.py loadcontest: a contest begins with its file


@admin.register(ContestVersion)
class ContestVersionAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("contest", "sha256", "created")
