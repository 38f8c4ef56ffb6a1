"""Contests and their versions, with actions to freeze, thaw and reveal a board."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from leaderboard.admin.history import ReadOnly
from leaderboard.core.errors import Refused
from leaderboard.models import (
    Contest,
    ContestVersion,
)
from leaderboard.organisers.board_control import direct

_OUTCOMES = {
    True: (_("Done, and recorded in the audit log."), messages.SUCCESS),
    False: (_("Nothing changed: it was already in that state."), messages.WARNING),
}


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

    def get_readonly_fields(
        self, request: HttpRequest, obj: Contest | None = None
    ) -> tuple[str, ...]:
        """A finalized contest cannot be reopened."""
        is_final = obj is not None and obj.finalised_at is not None
        return (*self.readonly_fields, "is_open") if is_final else self.readonly_fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # contests are created with manage.py loadcontest

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_direct_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("leaderboard.direct_contest")

    @admin.action(description=_("Freeze the public board now"), permissions=["direct"])
    def freeze(self, request: HttpRequest, chosen: QuerySet[Contest]) -> None:
        self._direct(request, chosen, "freeze")

    @admin.action(description=_("Thaw the public board"), permissions=["direct"])
    def thaw(self, request: HttpRequest, chosen: QuerySet[Contest]) -> None:
        self._direct(request, chosen, "thaw")

    @admin.action(description=_("Reveal the private board to everyone"), permissions=["direct"])
    def reveal(self, request: HttpRequest, chosen: QuerySet[Contest]) -> None:
        self._direct(request, chosen, "reveal")

    def _direct(self, request: HttpRequest, chosen: QuerySet[Contest], verb: str) -> None:
        assert isinstance(request.user, User), "the admin lets nobody else in"
        for contest in chosen:
            try:
                done = direct(contest, verb, by=request.user)
            except Refused as error:
                self.message_user(request, f"{contest}: {error.line}", messages.ERROR)
            else:
                text, level = _OUTCOMES[done]
                self.message_user(request, f"{contest}: {text}", level)


@admin.register(ContestVersion)
class ContestVersionAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("contest", "sha256", "created")
