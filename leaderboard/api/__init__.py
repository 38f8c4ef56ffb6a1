"""The site's HTTP API: ``worker`` for GPU boxes; ``reading`` and the rest for the CLI and scripts.

Documented by OpenAPI at /api/docs. Every error has one shape: ``{"code", "message", "hint"}``.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from grader.schema import SchemaError
from leaderboard.api import final, participant, reading, worker
from leaderboard.api.auth import Denied
from leaderboard.core.errors import Refused, error_body, refusal_body
from leaderboard.lifecycle import StaleAttempt

api = NinjaAPI(title="paretoboard", version="1", docs_url="/docs", urls_namespace="api")
api.add_router("/worker", worker.router)
api.add_router("", reading.router)
api.add_router("", participant.router)
api.add_router("", final.router)


@api.exception_handler(StaleAttempt)
def stale(request: HttpRequest, _: StaleAttempt) -> HttpResponse:
    body = error_body(
        "STALE_ATTEMPT",
        "This attempt no longer holds the lease; another one may have taken over.",
        "Stop the engines and ask for new work.",
    )
    return api.create_response(request, body, status=409)


@api.exception_handler(Refused)
def refused(request: HttpRequest, error: Refused) -> HttpResponse:
    return api.create_response(request, refusal_body(error), status=error.status)


@api.exception_handler(SchemaError)
def malformed(request: HttpRequest, error: SchemaError) -> HttpResponse:
    body = error_body("MALFORMED", str(error), "See /api/docs for the expected document.")
    return api.create_response(request, body, status=422)


@api.exception_handler(ValidationError)
def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    where = ".".join(str(part) for part in first["loc"])
    body = error_body("MALFORMED", f"{where}: {first['msg']}", "See /api/docs.")
    return api.create_response(request, body, status=422)


@api.exception_handler(AuthenticationError)
def unauthenticated(request: HttpRequest, _: AuthenticationError) -> HttpResponse:
    body = error_body(
        "UNAUTHENTICATED",
        "The token is missing or unknown.",
        "Create a token on your account page and send it as 'Authorization: Bearer TOKEN'.",
    )
    return api.create_response(request, body, status=401)


@api.exception_handler(Denied)
def denied(request: HttpRequest, error: Denied) -> HttpResponse:
    body = error_body(error.code, error.message, error.hint)
    return api.create_response(request, body, status=error.status)


@api.exception_handler(HttpError)
def http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    body = error_body(f"HTTP_{error.status_code}", str(error), "See /api/docs.")
    return api.create_response(request, body, status=error.status_code)
