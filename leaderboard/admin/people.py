"""Teams and tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest

from leaderboard import lifecycle
from leaderboard.admin.history import ReadOnly
from leaderboard.core import audit
from leaderboard.models import (
    ApiToken,
    Membership,
    Team,
    TeamEvent,
)
from leaderboard.teams.forms import free_name
from leaderboard.teams.rules import note


class MembershipInline(admin.TabularInline):
    model = Membership
    fields = ("contest", "user", "is_captain")
    extra = 0


class TeamRow(forms.ModelForm):
    """Django skips uniqueness checks that involve a read-only field, and the contest is read-only."""

    def clean_name(self) -> str:
        team: Team = self.instance
        name = self.cleaned_data["name"]
        return free_name(name, team.contest, team) if team.pk else str(name)


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):
    form = TeamRow
    list_display = ("name", "contest", "created")
    list_filter = ("contest",)
    search_fields = ("name", "memberships__user__username")
    inlines = (MembershipInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Team | None = None) -> tuple[str, ...]:
        """A team's entries and members belong to its contest, so the contest cannot change."""
        return ("contest",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> None:
        """A rename shows on the board at commit, and is recorded in the audit log and the team's history."""
        if not change or "name" not in form.changed_data:
            super().save_model(request, obj, form, change)
            return
        assert isinstance(request.user, User), "the admin lets nobody else in"
        lifecycle.board_moves(obj.contest_id)
        super().save_model(request, obj, form, change)
        before = form.initial["name"]
        note(obj, TeamEvent.Kind.RENAMED, request.user, f"{before} → {obj.name}")
        audit.record(
            request.user, "team.rename", obj, contest=obj.contest_id, before={"name": before},
            after={"name": obj.name},
        )  # fmt: skip

    def has_change_permission(self, request: HttpRequest, obj: Team | None = None) -> bool:
        return _is_open(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Team | None = None) -> bool:
        return _is_open(obj) and super().has_delete_permission(request, obj)


def _is_open(team: Team | None) -> bool:
    """Teams of a finalized contest are read-only; the database would refuse changes anyway."""
    return team is None or team.contest.finalised_at is None


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("name", "user", "created", "revoked")
    list_select_related = ("user",)
