"""Who may open the organisers' pages, and who may act on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

View = Callable[..., HttpResponseBase]


def staff_only(view: View) -> View:
    """Staff may look. Others get 403, whoever is not logged in the log-in page.

    These pages hold private results, so no cache, of a proxy or of the browser, may keep them.
    """

    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not request.user.is_staff:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def needs(request: HttpRequest, permission: str) -> None:
    """Raise ``PermissionDenied`` with a sentence unless the member of staff has the permission."""
    if not request.user.has_perm(f"leaderboard.{permission}"):
        raise PermissionDenied(
            _(
                "Your account lacks the permission “%(name)s”. A superuser can grant it in the admin."
            )
            % {"name": permission}
        )


def acting_user(request: HttpRequest) -> User:
    """Who acts, for the audit log. Only inside a view that is ``staff_only``."""
    assert isinstance(request.user, User)
    return request.user


def words(request: HttpRequest, name: str) -> str:
    """What a form says in one of its fields, trimmed, without the NUL that the database does not take."""
    return request.POST.get(name, "").replace("\0", "").strip()
