"""Response headers for every page, and requests that are refused everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    UnreadablePostError,
)
from django.middleware.gzip import GZipMiddleware
from django.utils import translation
from django.utils.cache import has_vary_header, patch_cache_control

from grader import logs
from leaderboard.accounts import providers
from leaderboard.core.errors import Refused
from leaderboard.server.doors import PAGES, door_of
from leaderboard.storage import disk

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        # Social login starts with a form of ours that redirects to the provider.
        " ".join(["form-action 'self'", *providers.origins(settings.SOCIALACCOUNT_PROVIDERS)]),
    )
)


COMPRESSIBLE = re.compile(r"text/.+|application/([a-z.]+\+)?(json|xml|yaml)|image/svg\+xml")


class LogContext:
    """Reset the log context, because a thread serves one request after another."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        logs.clear()
        return self.get_response(request)


class NoNul:
    """Answer 404 if the path holds a NUL: no URL of the site does, and PostgreSQL cannot store one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info:
            raise Http404
        return self.get_response(request)


class BoundedBodies:
    """Refuse a large body before it is parsed, except where permitted users upload files.

    Parsing a form writes its files to disk, for any sender and any URL.
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
    """Whether a body may be large: uploads, archives sent as a form, workers' reports (limited there)."""
    known = "Authorization" in request.headers or settings.SESSION_COOKIE_NAME in request.COOKIES
    return known and door_of(request.path) != PAGES


class FullDisk:
    """A form whose files find no room on the disk is answered with 507. The API answers in its own shape."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: object) -> HttpResponse | None:
        """Parse the form here, where the error can still become an answer."""
        if request.content_type != "multipart/form-data" or request.path.startswith("/api/"):
            return None
        try:
            len(request.FILES)
        except OSError as error:
            if isinstance(error, UnreadablePostError):
                return None  # the connection broke: the view finds an empty form
            if not disk.is_full(error):
                raise
            refused = Refused("UPLOAD_DISK_FULL")
            return HttpResponse(refused.line, "text/plain; charset=utf-8", refused.status)
        return None


class Compressed(GZipMiddleware):
    """Compress text. Archives are compressed already, or are gigabytes that a worker reads in ranges."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if response.status_code == 206 or not COMPRESSIBLE.fullmatch(kind):
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed


class PrivatePages:
    """Keep pages that depend on the reader out of shared caches, unless the view decides otherwise.

    Staff see more of a submission or a board than its team does, at the same URL.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if has_vary_header(response, "Cookie") and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_cache=True)
        return response


class SecurityHeaders:
    """A content security policy without inline scripts or styles; it covers the admin too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Content-Security-Policy", POLICY)
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        return response
