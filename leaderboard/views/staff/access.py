"""Who may open the organizers' pages, and who may act on them."""

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
    """Staff can view the page. Others get 403; people who are not logged in get the login page.

    These pages hold private results, so neither proxies nor browsers may cache them.
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
    """Raise ``PermissionDenied`` with a sentence unless the staff member has the permission."""
    if not request.user.has_perm(f"leaderboard.{permission}"):
        raise PermissionDenied(
            _(
                "Your account lacks the permission “%(name)s”. A superuser can grant it in the admin."
            )
            % {"name": permission}
        )


def acting_user(request: HttpRequest) -> User:
    """The acting user, for the audit log. Only inside a view that is ``staff_only``."""
    assert isinstance(request.user, User)
    return request.user


def words(request: HttpRequest, name: str) -> str:
    """A form field's value, trimmed, without NUL characters, which PostgreSQL cannot store."""
    return request.POST.get(name, "").replace("\0", "").strip()
