"""Rate limits, counted in Valkey; without Valkey nobody is limited."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Allowance:
    """The remainder of a window of ``limit`` requests; ``resets_s`` until the next window begins."""

    limit: int
    left: int
    resets_s: int

    @property
    def is_over(self) -> bool:
        return self.left < 0


def take(bucket: str, who: str, limit: int, period_s: int = 60) -> Allowance:
    """Count one of ``who``'s requests in a bucket."""
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


def creating(bucket: str, limit: int, period_s: int = 3600) -> Callable[..., Any]:
    """Decorate a page whose POST creates something: at most ``limit`` per person and period."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "POST" and request.user.is_authenticated:
                allowance = take(bucket, f"user {request.user.pk}", limit, period_s)
                if allowance.is_over:
                    minutes = -(-allowance.resets_s // 60)
                    wait = _("Try again in %(minutes)s minutes.") % {"minutes": minutes}
                    response = render(request, "429.html", {"wait": wait}, status=429)
                    response.headers["Retry-After"] = str(allowance.resets_s)
                    return response
            return view(request, *args, **kwargs)

        return limited

    return decorate
