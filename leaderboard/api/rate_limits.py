"""API rate limits.

Windows are fixed and short; a request costs one atomic increment. Requests that carry an upload's bytes are not
counted, because the upload was counted when it was created.
"""

from __future__ import annotations

from collections.abc import Callable

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from grader.protocol import worker as protocol
from leaderboard.api.auth import user_id
from leaderboard.core.errors import Refused
from leaderboard.core.rate_limits import take

UNCOUNTED = {"PATCH", "HEAD", "OPTIONS"}
CREATING = {"POST", "PUT"}


class ApiLimits:
    """Middleware for ``/api/``: one limit per address, one per person, and a stricter one for creating things.

    A valid token or a session is counted per person, because many people may share an address. An invalid token
    does not identify anyone, so it does not lift the address limit.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        theirs = request.path.startswith("/api/") and not request.path.startswith(
            f"{protocol.PREFIX}/"
        )
        if not theirs or request.method in UNCOUNTED:
            return self.get_response(request)
        taken = [take(*bucket) for bucket in _buckets(request)]
        tightest = min(taken, key=lambda allowance: allowance.left)
        if tightest.is_over:
            refused = Refused("RATE_LIMITED", n=tightest.limit, seconds=tightest.resets_s)
            response: HttpResponse = JsonResponse(refused.body, status=refused.status)
            response.headers["Retry-After"] = str(tightest.resets_s)
        else:
            response = self.get_response(request)
        response.headers["RateLimit-Limit"] = str(tightest.limit)
        response.headers["RateLimit-Remaining"] = str(max(0, tightest.left))
        response.headers["RateLimit-Reset"] = str(tightest.resets_s)
        return response


def _buckets(request: HttpRequest) -> list[tuple[str, str, int]]:
    limits = settings.API_LIMITS
    address, person = get_adapter().get_client_ip(request), user_id(request)
    found = [("address", address, limits["address"])]
    if person is None:
        found.append(("anonymous", address, limits["anonymous"]))
    else:
        found.append(("person", f"user {person}", limits["person"]))
    if request.method in CREATING:
        found.append(("create", f"user {person}" if person else address, limits["create"]))
    return found
