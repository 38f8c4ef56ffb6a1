"""The site's HTTP API: ``worker`` for GPU boxes; ``reading`` and the rest for the CLI and scripts.

OpenAPI documentation is at /api/docs. Every error has the same shape: ``{"code", "message", "hint"}``.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema

from grader.schema import SchemaError
from leaderboard.api import final, participant, reading, worker
from leaderboard.core.errors import ErrorOut, Refused
from leaderboard.lifecycle import StaleAttempt
from leaderboard.storage import disk


class Api(NinjaAPI):
    """Its specification says for every operation what a refusal looks like, which ninja leaves out."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        document["components"]["schemas"].setdefault("ErrorOut", ErrorOut.json_schema())
        refusal = {
            "description": "Refused; nothing was changed",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorOut"}}},
        }
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].setdefault("4XX", refusal)
                operation["responses"].setdefault("507", refusal)
        return document


api = Api(title="paretoboard", version="1", docs_url="/docs", urls_namespace="api")
api.add_router("/worker", worker.router)
api.add_router("", reading.router)
api.add_router("", participant.router)
api.add_router("", final.router)


@api.exception_handler(Refused)
def refused(request: HttpRequest, error: Refused) -> HttpResponse:
    return api.create_response(request, error.body, status=error.status)


@api.exception_handler(OSError)
def disk_full(request: HttpRequest, error: OSError) -> HttpResponse:
    if not disk.is_full(error):
        raise error
    return refused(request, Refused("UPLOAD_DISK_FULL"))


@api.exception_handler(StaleAttempt)
def stale(request: HttpRequest, _: StaleAttempt) -> HttpResponse:
    return refused(request, Refused("STALE_ATTEMPT"))


@api.exception_handler(SchemaError)
def malformed(request: HttpRequest, error: SchemaError) -> HttpResponse:
    words = (str(error), "See /api/docs for the expected document.")
    return refused(request, Refused("MALFORMED", status=422, words=words))


@api.exception_handler(ValidationError)
def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    where = ".".join(str(part) for part in first["loc"])
    words = (f"{where}: {first['msg']}", "See /api/docs.")
    return refused(request, Refused("MALFORMED", status=422, words=words))


@api.exception_handler(AuthenticationError)
def unauthenticated(request: HttpRequest, _: AuthenticationError) -> HttpResponse:
    words = (
        "The token is missing or unknown.",
        "Create a token on your account page and send it as 'Authorization: Bearer TOKEN'.",
    )
    return refused(request, Refused("UNAUTHENTICATED", words=words))


@api.exception_handler(HttpError)
def http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    code, words = f"HTTP_{error.status_code}", (str(error), "See /api/docs.")
    return refused(request, Refused(code, status=error.status_code, words=words))
