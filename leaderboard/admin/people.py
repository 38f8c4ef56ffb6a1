"""Teams and tokens."""

from __future__ import annotations

from django.contrib import admin

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


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("name", "user", "created", "revoked")
    list_select_related = ("user",)
