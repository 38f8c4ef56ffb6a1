"""Evaluations with their attempts, transitions and scores."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from leaderboard import lifecycle, queries
from leaderboard.admin.history import ReadOnly
from leaderboard.models import (
    Attempt,
    Evaluation,
    Score,
    Submission,
    Transition,
)


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
    readonly_fields = ("compliance",)
    actions = ("rescore",)
    date_hierarchy = "created"

    @admin.display(description=_("compliance"))
    def compliance(self, row: Evaluation) -> str:
        """A line per check; flagged ones first."""
        return format_html_join(
            mark_safe("<br>"),
            "{} {}: {} ({})",
            (
                (
                    "⚑" if check["flagged"] else "✓",
                    check["code"],
                    check["where"] or "–",
                    check["detail"],
                )
                for check in queries.compliance_of(row)
            ),
        )

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
