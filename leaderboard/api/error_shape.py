"""The one shape of every error below ``/api/``, also of those that Django answers itself."""

from __future__ import annotations

import json
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from leaderboard.core.errors import ErrorOut

_SENTENCES = {
    404: "There is nothing here, or nothing that you may see.",
    405: "This address does not take this method.",
    500: "The site made a mistake. It has been noted.",
}


class ErrorShape:
    """Middleware: an error page becomes ``{code, message, hint}``; headers and status stay."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith("/api/") and response.status_code >= 400:
            _shape(response)
        return response


def _shape(response: HttpResponse) -> None:
    if response.streaming or _has_shape(response):
        return
    sentence = _SENTENCES.get(
        response.status_code, f"The request failed: {response.reason_phrase}."
    )
    error = ErrorOut(code=f"HTTP_{response.status_code}", message=sentence, hint="See /api/docs.")
    response.content = json.dumps(error.dict()).encode()
    response.headers["Content-Type"] = "application/json; charset=utf-8"
    # CommonMiddleware has counted the page that was there: with its length a client waits for the rest of it.
    response.headers["Content-Length"] = str(len(response.content))


def _has_shape(response: HttpResponse) -> bool:
    if "json" not in response.headers.get("Content-Type", ""):
        return False
    try:
        document = json.loads(response.content)
    except ValueError:
        return False
    return isinstance(document, dict) and document.keys() >= {"code", "message", "hint"}
