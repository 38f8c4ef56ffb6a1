"""How often somebody may ask, counted in Valkey; without Valkey nobody is turned away.

Windows are fixed and short; one atomic increment is all a request costs. Requests that carry the bytes of an
upload are not counted: the upload was, when it was created.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from leaderboard.documents import error_body

log = logging.getLogger(__name__)
UNCOUNTED = {"PATCH", "HEAD", "OPTIONS"}
CREATING = {"POST", "PUT"}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a window of ``limit`` requests; ``resets_s`` until the next begins."""

    limit: int
    left: int
    resets_s: int

    @property
    def is_over(self) -> bool:
        return self.left < 0


def take(bucket: str, who: str, limit: int, period_s: int = 60) -> Allowance:
    """Count one request of ``who`` in a bucket."""
    now = time.time()
    window = int(now // period_s)
    resets = int((window + 1) * period_s - now) + 1
    key = f"limits:{bucket}/{hashlib.sha256(who.encode()).hexdigest()[:32]}/{window}"
    try:
        cache.add(key, 0, period_s + 5)
        used = cache.incr(key)
    except (RedisError, ValueError) as error:  # ValueError: it expired between the two calls
        log.warning("requests are not counted just now: %s", error)
        used = 1
    return Allowance(limit, limit - used, resets)


class ApiLimits:
    """Middleware of ``/api/``: by address, by token, and a stricter one for what creates something."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        theirs = request.path.startswith("/api/") and not request.path.startswith("/api/worker/")
        if not theirs or request.method in UNCOUNTED:
            return self.get_response(request)
        taken = [take(*bucket) for bucket in _buckets(request)]
        tightest = min(taken, key=lambda allowance: allowance.left)
        if tightest.is_over:
            body = error_body(
                "RATE_LIMITED",
                _("More than %(n)s requests in a minute.") % {"n": tightest.limit},
                _("Wait %(n)s s, and ask less often: see the RateLimit headers.")
                % {"n": tightest.resets_s},
            )
            response: HttpResponse = JsonResponse(body, status=429)
            response.headers["Retry-After"] = str(tightest.resets_s)
        else:
            response = self.get_response(request)
        response.headers["RateLimit-Limit"] = str(tightest.limit)
        response.headers["RateLimit-Remaining"] = str(max(0, tightest.left))
        response.headers["RateLimit-Reset"] = str(tightest.resets_s)
        return response


def _buckets(request: HttpRequest) -> list[tuple[str, str, int]]:
    limits = settings.API_LIMITS
    token = request.headers.get("Authorization", "")
    address = get_adapter().get_client_ip(request)
    found = [("address", address, limits["address" if token else "anonymous"])]
    if token:
        found.append(("token", token, limits["token"]))
    if request.method in CREATING:
        found.append(("create", token or address, limits["create"]))
    return found


def creating(bucket: str, limit: int, period_s: int = 3600) -> Callable[..., Any]:
    """Decorate a page whose POST creates something: at most ``limit`` a person and period."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "POST" and request.user.is_authenticated:
                allowance = take(bucket, f"user {request.user.pk}", limit, period_s)
                if allowance.is_over:
                    minutes = -(-allowance.resets_s // 60)
                    wait = _("Again in %(minutes)s minutes.") % {"minutes": minutes}
                    response = render(request, "429.html", {"wait": wait}, status=429)
                    response.headers["Retry-After"] = str(allowance.resets_s)
                    return response
            return view(request, *args, **kwargs)

        return limited

    return decorate
