"""Response headers that every page carries, and what no request may be."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import translation
from django.utils.cache import has_vary_header, patch_cache_control

from grader import logs
from grader.protocol import worker as protocol
from leaderboard.accounts import providers
from leaderboard.core.errors import Refused

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        # Logging in elsewhere begins with a form of ours that is redirected there.
        " ".join(["form-action 'self'", *providers.origins(settings.SOCIALACCOUNT_PROVIDERS)]),
    )
)


# Where a body may be large: uploads, archives sent in one form, and what workers report (bounded there).
FILES = re.compile(
    rf"/api/uploads/|/api/contests/[^/]+/submissions$|/contests/[^/]+/submit/$|{protocol.PREFIX}/"
)


class LogContext:
    """Threads serve one request after another: none begins with the ids of the one before it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        logs.clear()
        return self.get_response(request)


class NoNul:
    """No address of the site holds a NUL, and the database cannot even be asked for one: not found."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info:
            raise Http404
        return self.get_response(request)


class BoundedBodies:
    """A large body is refused before it is parsed, except where files are taken from people who may send them.

    Parsing a form writes its files to disk, whoever sends it to whatever address.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        limit_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        length = request.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) <= limit_bytes or _takes_files(request):
            return self.get_response(request)
        with translation.override(translation.get_language_from_request(request)):
            refused = Refused("BODY_TOO_LARGE", limit=f"{limit_bytes:,}")
            if request.path.startswith("/api/"):
                return JsonResponse(refused.body, status=refused.status)
            return HttpResponse(refused.line, "text/plain; charset=utf-8", refused.status)


def _takes_files(request: HttpRequest) -> bool:
    known = "Authorization" in request.headers or settings.SESSION_COOKIE_NAME in request.COOKIES
    return known and FILES.match(request.path) is not None


class PrivatePages:
    """A page that depends on who reads it is kept by no shared cache, unless the view says otherwise.

    Staff see more of a submission or a board than its team does, at the same address.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if has_vary_header(response, "Cookie") and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_cache=True)
        return response


class SecurityHeaders:
    """A content security policy without inline script or style; the admin is served under it as well."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Content-Security-Policy", POLICY)
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        return response
