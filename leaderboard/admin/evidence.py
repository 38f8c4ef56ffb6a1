"""Records the site writes itself: viewable and searchable, never editable. Secrets (webhooks) are left out."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from leaderboard.admin.history import ReadOnly
from leaderboard.models import (
    Batch,
    BatchItem,
    Delivery,
    FinalChoice,
    Merger,
    QuotaGrant,
    Result,
    TeamEvent,
    Upload,
)


@admin.register(Batch)
class BatchAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "contest", "kind", "status", "reason", "by", "created", "applied")
    list_filter = ("contest", "kind", "status")
    search_fields = ("=id", "reason", "by")


@admin.register(BatchItem)
class BatchItemAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("batch", "submission", "old_score", "new_score", "note")
    list_select_related = ("batch", "submission", "old_score", "new_score")
    search_fields = ("=batch__id", "=submission__id")


@admin.register(Result)
class ResultAdmin(ReadOnly, admin.ModelAdmin):
    """Reports without their questions."""

    list_display = ("evaluation", "attempt", "created")
    list_select_related = ("evaluation",)
    search_fields = ("=evaluation__id", "=evaluation__submission__id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Result]:
        found = super().get_queryset(request)
        at = request.resolver_match
        is_list = bool(at and at.url_name and at.url_name.endswith("changelist"))
        return found.defer("report") if is_list else found


@admin.register(FinalChoice)
class FinalChoiceAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("team", "submission", "by", "created")
    list_select_related = ("team", "submission")
    search_fields = ("team__name", "=submission__id")


@admin.register(QuotaGrant)
class QuotaGrantAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("team", "day", "extra", "reason")
    list_select_related = ("team",)
    search_fields = ("team__name", "reason")


@admin.register(TeamEvent)
class TeamEventAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("created", "team", "kind", "by", "detail")
    list_filter = ("kind",)
    list_select_related = ("team",)
    search_fields = ("team__name", "by", "detail")


@admin.register(Merger)
class MergerAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("team", "other", "status", "by", "created", "decided")
    list_select_related = ("team", "other", "by")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, admin.ModelAdmin):
    """The outbox: every message, its recipient, and the outcome."""

    list_display = ("created", "team", "kind", "channel", "target", "status", "tries", "answer")
    list_filter = ("status", "kind", "channel")
    list_select_related = ("team",)
    search_fields = ("team__name", "target", "key")


@admin.register(Upload)
class UploadAdmin(ReadOnly, admin.ModelAdmin):
    """Uploads in progress, and uploads that were refused on completion."""

    list_display = (
        "key",
        "user",
        "contest",
        "name",
        "offset_bytes",
        "size_bytes",
        "refusal",
        "created",
    )
    list_select_related = ("user", "contest")
    search_fields = ("=key", "user__username", "name")
