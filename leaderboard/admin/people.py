"""Teams and tokens."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from leaderboard.admin.history import ReadOnly
from leaderboard.models import (
    ApiToken,
    Membership,
    Team,
)


class MembershipInline(admin.TabularInline):
    model = Membership
    fields = ("contest", "user", "is_captain")
    extra = 0


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):
    list_display = ("name", "contest", "created")
    list_filter = ("contest",)
    search_fields = ("name", "memberships__user__username")
    inlines = (MembershipInline,)

    def has_change_permission(self, request: HttpRequest, obj: Team | None = None) -> bool:
        return _is_open(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Team | None = None) -> bool:
        return _is_open(obj) and super().has_delete_permission(request, obj)


def _is_open(team: Team | None) -> bool:
    """A finalised contest's teams are looked at; the database would refuse more."""
    return team is None or team.contest.finalised_at is None


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("name", "user", "created", "revoked")
    list_select_related = ("user",)
