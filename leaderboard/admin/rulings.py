"""Disqualifying, hiding and reinstating teams and entries: nothing is deleted, everything is noted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from leaderboard import audit, lifecycle
from leaderboard.models import Ruling


@admin.register(Ruling)
class RulingAdmin(admin.ModelAdmin):
    list_display = ("contest", "kind", "team", "submission", "reason", "by", "created", "lifted")
    list_filter = ("contest", "kind", ("lifted", admin.EmptyFieldListFilter))
    list_select_related = ("contest", "team", "submission")
    search_fields = ("team__name", "=submission__id", "reason")
    fields = ("contest", "kind", "team", "submission", "reason", "evidence")
    raw_id_fields = ("team", "submission")
    actions = ("lift",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a ruling is lifted, not rewritten

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Ruling, form: Any, change: bool) -> None:
        with transaction.atomic():
            lifecycle.board_moves(obj.contest_id)
            obj.by = str(request.user)[:150]
            super().save_model(request, obj, form, change)
            about = {"team": obj.team_id, "submission": obj.submission_id}
            audit.record(
                request.user, f"ruling.{obj.kind}", obj, contest=obj.contest_id, after=about,
                reason=obj.reason,
            )  # fmt: skip

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("leaderboard.add_ruling")

    @admin.action(description=_("Lift: the team or entry is back"), permissions=["lift"])
    def lift(self, request: HttpRequest, chosen: QuerySet[Ruling]) -> None:
        count = 0
        for ruling in chosen.filter(lifted__isnull=True):
            with transaction.atomic():
                lifecycle.board_moves(ruling.contest_id)
                in_force = Ruling.objects.filter(pk=ruling.pk, lifted__isnull=True)
                if in_force.update(lifted=Now(), lifted_by=str(request.user)[:150]):
                    count += 1
                    audit.record(
                        request.user, "ruling.lift", ruling, contest=ruling.contest_id,
                        reason=ruling.reason,
                    )  # fmt: skip
        text = ngettext("%(n)d ruling lifted.", "%(n)d rulings lifted.", count) % {"n": count}
        self.message_user(request, text, messages.SUCCESS)
