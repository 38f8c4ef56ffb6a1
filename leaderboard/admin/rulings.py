"""Disqualifying, hiding and reinstating teams and entries. Nothing is deleted, everything is recorded."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from leaderboard.contests import phases
from leaderboard.core.errors import Refused
from leaderboard.models import Ruling
from leaderboard.models.ruling import RulingQuerySet
from leaderboard.organisers import rulings


def _by(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the admin lets nobody else in"
    return request.user


class RulingForm(forms.ModelForm):
    """Reject inconsistent input before anything is written."""

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        contest = data.get("contest")
        for name in ("team", "submission"):
            thing = data.get(name)
            if contest and thing and thing.contest_id != contest.pk:
                self.add_error(name, _("It belongs to another contest."))
        if contest:
            try:
                phases.refuse_final(contest)
            except Refused as error:
                self.add_error("contest", error.line)
        return data


@admin.register(Ruling)
class RulingAdmin(admin.ModelAdmin):
    form = RulingForm
    list_display = ("contest", "kind", "team", "submission", "reason", "by", "created", "lifted")
    list_filter = ("contest", "kind", ("lifted", admin.EmptyFieldListFilter))
    list_select_related = ("contest", "team", "submission")
    search_fields = ("team__name", "=submission__id", "reason")
    fields = ("contest", "kind", "team", "submission", "reason", "evidence")
    raw_id_fields = ("team", "submission")
    actions = ("lift",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a ruling is lifted, never rewritten

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Ruling, form: Any, change: bool) -> None:
        rulings.impose(obj, by=_by(request))

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("leaderboard.add_ruling")

    @admin.action(description=_("Lift: the team or entry is back"), permissions=["lift"])
    def lift(self, request: HttpRequest, chosen: RulingQuerySet) -> None:
        found = chosen.in_force().select_related("contest")
        try:
            count = sum(rulings.lift(ruling, by=_by(request)) for ruling in found)
        except Refused as error:
            self.message_user(request, error.line, messages.ERROR)
            return
        text = ngettext("%(n)d ruling lifted.", "%(n)d rulings lifted.", count) % {"n": count}
        self.message_user(request, text, messages.SUCCESS)
