"""For machines: liveness, readiness, and metrics."""

from __future__ import annotations

import ipaddress
import secrets

from django.conf import settings
from django.db import OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse

from leaderboard.operations import metrics as numbers


def live(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


def ready(request: HttpRequest) -> JsonResponse:
    """Ready means the database answers. A missing broker only delays, because workers and sweeper poll."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except OperationalError:
        return JsonResponse({"database": "unreachable"}, status=503)
    return JsonResponse({"database": "ok"})


def metrics(request: HttpRequest) -> HttpResponse:
    """For clients with ``METRICS_TOKEN`` or from ``METRICS_NETWORKS``; others get a 404."""
    if not (_has_token(request) or _is_near(request)):
        raise Http404
    return HttpResponse(numbers.exposition(), content_type=numbers.CONTENT_TYPE)


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted: str = settings.METRICS_TOKEN
    given = token.strip().encode()
    return bool(wanted) and scheme == "Bearer" and secrets.compare_digest(given, wanted.encode())


def _is_near(request: HttpRequest) -> bool:
    """The address counts only without a proxy: behind one, every client has the proxy's address."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False  # a Unix socket
    return any(address in network for network in settings.METRICS_NETWORKS)
