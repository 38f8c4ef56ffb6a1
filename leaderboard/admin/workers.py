"""GPU boxes and their A/A tests."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from leaderboard import workers
from leaderboard.admin.history import ReadOnly
from leaderboard.models import AARun, Worker


@admin.register(Worker)
class WorkerAdmin(ReadOnly, admin.ModelAdmin):
    list_display = (
        "name", "device", "device_name", "sandbox", "last_seen", "drained", "drain_reason", "revoked",
    )  # fmt: skip
    list_filter = ("device", "sandbox", ("revoked", admin.EmptyFieldListFilter))
    search_fields = ("name", "device_name")
    actions = ("drain", "resume", "retire")
    exclude = ("digest", "boot")

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("leaderboard.change_worker")

    @admin.action(
        description=_("Drain: finish the current job, then take no new ones"), permissions=["act"]
    )
    def drain(self, request: HttpRequest, chosen: QuerySet[Worker]) -> None:
        by = _by(request)
        self._each(request, chosen, lambda row: workers.drain(row, f"by {by}", by=by))

    @admin.action(description=_("Resume: take new jobs again"), permissions=["act"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Worker]) -> None:
        self._each(request, chosen, lambda row: workers.resume(row, by=_by(request)))

    @admin.action(description=_("Retire: revoke the token permanently"), permissions=["act"])
    def retire(self, request: HttpRequest, chosen: QuerySet[Worker]) -> None:
        self._each(request, chosen, lambda row: workers.retire(row, by=_by(request)))

    def _each(
        self, request: HttpRequest, chosen: QuerySet[Worker], act: Callable[[Worker], bool]
    ) -> None:
        count = sum(act(row) for row in chosen)
        text = ngettext("%(n)d worker changed.", "%(n)d workers changed.", count) % {"n": count}
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)


def _by(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the admin lets nobody else in"
    return request.user


@admin.register(AARun)
class AARunAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "worker", "contest", "status", "asked_by", "finished", "problems")
    list_filter = ("worker", "contest", "status")
    list_select_related = ("worker", "contest")
