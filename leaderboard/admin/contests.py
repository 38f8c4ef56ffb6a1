"""Contests and their versions; freezing, thawing and revealing a board."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from leaderboard import audit, lifecycle
from leaderboard.admin.history import ReadOnly
from leaderboard.models import (
    Contest,
    ContestVersion,
)


@admin.register(Contest)
class ContestAdmin(admin.ModelAdmin):
    list_display = (
        "slug",
        "version",
        "pending",
        "is_open",
        "frozen_at",
        "thawed_at",
        "revealed_at",
    )
    readonly_fields = (
        "slug", "version", "pending", "frozen_at", "thawed_at", "revealed_at", "finalised_at",
    )  # fmt: skip
    list_select_related = ("version", "pending")
    actions = ("freeze", "thaw", "reveal")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # manage.py loadcontest: a contest begins with its file

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_direct_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("leaderboard.direct_contest")

    @admin.action(description=_("Freeze the public board now"), permissions=["direct"])
    def freeze(self, request: HttpRequest, chosen: QuerySet[Contest]) -> None:
        self._stamp(request, chosen, "freeze", "frozen_at")

    @admin.action(description=_("Thaw the public board"), permissions=["direct"])
    def thaw(self, request: HttpRequest, chosen: QuerySet[Contest]) -> None:
        self._stamp(request, chosen, "thaw", "thawed_at")

    @admin.action(description=_("Reveal the private board to everybody"), permissions=["direct"])
    def reveal(self, request: HttpRequest, chosen: QuerySet[Contest]) -> None:
        self._stamp(request, chosen, "reveal", "revealed_at")

    def _stamp(
        self, request: HttpRequest, chosen: QuerySet[Contest], verb: str, field: str
    ) -> None:
        """Set one of the moments to the database's now, and write it down."""
        for contest in chosen:
            with transaction.atomic():
                lifecycle.board_moves(contest.pk)
                before = {field: getattr(contest, field)}
                Contest.objects.filter(pk=contest.pk).update(**{field: Now()})
                contest.refresh_from_db()
                after = {field: getattr(contest, field)}
                audit.record(
                    request.user, f"contest.{verb}", contest, contest=contest.slug,
                    before=before, after=after,
                )  # fmt: skip
        self.message_user(request, _("Done, and noted in the audit log."), messages.SUCCESS)


@admin.register(ContestVersion)
class ContestVersionAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("contest", "sha256", "created")
