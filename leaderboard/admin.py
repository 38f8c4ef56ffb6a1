"""The Django admin: look at everything, change what is safe to change, rescore."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from leaderboard import lifecycle
from leaderboard.models import (
    ApiToken,
    Attempt,
    Contest,
    ContestVersion,
    Evaluation,
    Membership,
    Score,
    Submission,
    Team,
    Transition,
    Worker,
)

admin.site.site_header = "paretoboard"
admin.site.site_title = "paretoboard"


class ReadOnly:
    """History is looked at, never edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AttemptInline(ReadOnly, admin.TabularInline):
    model = Attempt
    fields = ("number", "worker", "started", "ended", "outcome", "problems", "log")
    readonly_fields = fields


class TransitionInline(ReadOnly, admin.TabularInline):
    model = Transition
    fields = ("created", "old", "new", "reason", "by")
    readonly_fields = fields


class ScoreInline(ReadOnly, admin.TabularInline):
    model = Score
    fk_name = "evaluation"
    fields = ("created", "value", "half_width", "formula", "version", "reason", "by")
    readonly_fields = fields


class MembershipInline(admin.TabularInline):
    model = Membership
    fields = ("contest", "user", "is_captain")
    extra = 0


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = (
        "id",
        "submission",
        "entrant",
        "status",
        "stage",
        "value",
        "attempt",
        "worker",
        "created",
    )
    list_filter = ("status", "stage", "submission__contest", "submission__kind", "worker")
    list_select_related = ("submission__team", "score", "worker")
    search_fields = ("=submission__id", "submission__team__name", "submission__title")
    inlines = (ScoreInline, AttemptInline, TransitionInline)
    actions = ("rescore",)
    date_hierarchy = "created"

    @admin.display(description=_("entrant"))
    def entrant(self, row: Evaluation) -> str:
        return row.submission.entrant

    @admin.display(description=_("score"), ordering="score__value")
    def value(self, row: Evaluation) -> str:
        return f"{row.score.value:.4f}" if row.score else "–"

    def has_rescore_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("leaderboard.change_evaluation")

    @admin.action(
        description=_("Rescore: apply the contest's current formula to the stored reports"),
        permissions=["rescore"],
    )
    def rescore(self, request: HttpRequest, chosen: QuerySet[Evaluation]) -> None:
        scored = chosen.filter(status=Evaluation.Status.SCORED)
        changed = [
            lifecycle.rescore(row, by=str(request.user), reason="admin action")
            for row in scored.select_related("submission__contest__version", "version")
        ]
        count = sum(score is not None for score in changed)
        text = ngettext("%(n)d score changed", "%(n)d scores changed", count) % {"n": count}
        text += ", " + _("%(n)d stayed the same.") % {"n": len(changed) - count}
        self.message_user(request, text, messages.SUCCESS)


@admin.register(Submission)
class SubmissionAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "contest", "kind", "entrant", "archive_name", "archive_bytes", "created")
    list_filter = ("contest", "kind")
    list_select_related = ("team", "contest")
    search_fields = ("=id", "team__name", "archive_sha256", "title")
    date_hierarchy = "created"


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):
    list_display = ("name", "contest", "created")
    list_filter = ("contest",)
    search_fields = ("name", "memberships__user__username")
    inlines = (MembershipInline,)


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


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin):
    list_display = ("name", "device", "sandbox", "last_seen", "revoked")
    readonly_fields = ("device", "sandbox", "versions", "last_seen", "revoked")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # manage.py addworker prints the token once


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("name", "user", "created", "revoked")
    list_select_related = ("user",)


@admin.register(Score)
class ScoreAdmin(ReadOnly, admin.ModelAdmin):
    list_display = (
        "id",
        "evaluation",
        "value",
        "half_width",
        "formula",
        "version",
        "reason",
        "by",
        "created",
    )
    list_select_related = ("evaluation", "version")


admin.site.register([Attempt, Transition], type("HistoryAdmin", (ReadOnly, admin.ModelAdmin), {}))
