"""Evaluations with their attempts, transitions and scores."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

from leaderboard.admin.history import ReadOnly
from leaderboard.models import (
    Attempt,
    Evaluation,
    Score,
    Submission,
    Transition,
)
from leaderboard.submissions import queries


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
        """One line per check, flagged ones first."""
        return format_html_join(
            mark_safe("<br>"),
            "{} {}: {} {}",
            (
                (
                    "⚑" if check["flagged"] else "✓",
                    check["code"],
                    check["where"] or "–",
                    check["figures"],
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
        return request.user.has_perm("leaderboard.run_batch")

    @admin.action(
        description=_("Rescore: prepare a batch over the chosen entries"),
        permissions=["rescore"],
    )
    def rescore(self, request: HttpRequest, chosen: QuerySet[Evaluation]) -> HttpResponse:
        """Opens the page that prepares a batch; nothing is computed or changed here."""
        entries = sorted(set(chosen.values_list("submission", flat=True)))
        contest = chosen.values_list("submission__contest", flat=True).first()
        query = urlencode({"submissions": " ".join(map(str, entries))})
        return redirect(f"{reverse('batch_new', args=[contest])}?{query}")


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
