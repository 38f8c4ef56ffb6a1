"""tus 1.0 (https://tus.io/protocols/resumable-upload): one endpoint for the browser and the CLI.

Core, creation, creation-with-upload, expiration, termination, checksum. Requests need a bearer token, or a
session with the ``X-CSRFToken`` header; an upload is visible to its owner only. The last byte creates the
submission: ``Content-Location`` points to its page, and ``POST …/submission`` returns it as JSON any number of
times.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.http import http_date
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_exempt
from ninja.utils import check_csrf

from leaderboard import uploads
from leaderboard.api.auth import UserToken
from leaderboard.core.errors import Refused
from leaderboard.models import Check, Contest, Submission, Upload
from leaderboard.storage import disk, staging
from leaderboard.submissions import duplicates
from leaderboard.submissions.documents import check_json, submission_json
from leaderboard.uploads.receive import CHECKSUMS, ChecksumError, Mismatch, verified
from leaderboard.uploads.session import UploadRequest

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination,checksum"
BODY = "application/offset+octet-stream"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
MOST_METADATA_CHARS = 4096
_KEY = re.compile(r"[A-Za-z0-9_.\-]{1,40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

View = Callable[..., HttpResponse]


def malformed(message: str, status: int = 400) -> Refused:
    """The request does not follow the protocol; the message is for the client's author."""
    words = (message, "See https://tus.io/protocols/resumable-upload.")
    return Refused("MALFORMED", status=status, words=words)


def endpoint(view: View) -> View:
    """Authenticates, checks the tus version, and turns every error into a JSON body with its status."""

    @csrf_exempt
    @wraps(view)
    def handled(request: HttpRequest, **kwargs: str) -> HttpResponse:
        try:
            method = request.headers.get("X-HTTP-Method-Override", request.method or "").upper()
            response = _options() if method == "OPTIONS" else view(request, method, **kwargs)
        except Refused as error:
            response = _refused(error)
        except uploads.Conflict as error:
            response = _refused(Refused("UPLOAD_OFFSET"))
            response["Upload-Offset"] = error.offset_bytes
        except uploads.Locked:
            response = _refused(Refused("UPLOAD_BUSY"))
        except Mismatch:
            response = _refused(Refused("UPLOAD_CHECKSUM"))
        except ChecksumError as error:
            response = _refused(malformed(str(error)))
        except OSError as error:
            if not disk.is_full(error):
                raise
            response = _refused(Refused("UPLOAD_DISK_FULL"))
        if response.status_code == 460:
            response.reason_phrase = "Checksum Mismatch"
        if response.status_code == 412:
            response["Tus-Version"] = VERSION
        response["Tus-Resumable"] = VERSION
        response["Cache-Control"] = "no-store"
        return response

    return handled


@endpoint
def collection(request: HttpRequest, method: str) -> HttpResponse:
    """POST creates an upload from ``Upload-Length`` and ``Upload-Metadata``."""
    user = _user(request)
    _allow(method, "POST")
    _speaks_tus(request)
    if "Upload-Defer-Length" in request.headers:
        raise malformed("Upload-Defer-Length is not offered: send Upload-Length.")
    size_bytes = _number(request, "Upload-Length")
    contest, asked = _requested(request, size_bytes)
    if asked.kind not in Submission.Kind.values:
        raise malformed(f"kind is one of {', '.join(Submission.Kind.values)}")
    if asked.kind != Submission.Kind.TEAM and not user.is_staff:
        raise malformed("Only organisers publish base and reference entries.", 403)
    row = uploads.create(contest, user, asked)
    response = _append(request, row, 0) if request.content_type == BODY else HttpResponse()
    response.status_code = 201
    response["Location"] = reverse("upload", args=[row.key])  # clients know the host
    response["Upload-Expires"] = http_date(row.expires.timestamp())
    return response


@endpoint
def upload(request: HttpRequest, method: str, key: str) -> HttpResponse:
    """HEAD returns the offset, PATCH appends, DELETE discards."""
    row = _own(request, key)
    _allow(method, "HEAD", "PATCH", "DELETE")
    _speaks_tus(request)
    if method == "DELETE":
        uploads.discard(row)
        return HttpResponse(status=204)
    if method == "PATCH":
        if request.content_type != BODY:
            raise malformed(f"Content-Type must be {BODY}", 415)
        return _append(request, row, _number(request, "Upload-Offset"))
    response = HttpResponse()
    response["Upload-Offset"] = row.offset_bytes
    response["Upload-Length"] = row.size_bytes
    response["Upload-Expires"] = http_date(row.expires.timestamp())
    if row.metadata:
        response["Upload-Metadata"] = row.metadata
    _point(response, row)
    return response


@endpoint
def submission(request: HttpRequest, method: str, key: str) -> HttpResponse:
    """POST: the submission that a complete upload became; created now if it does not exist yet.

    An upload made for a check becomes a check instead.

    409 with the number if the team has entered the same before; ``?again=1`` grades it anyway.
    """
    user = _user(request)
    _allow(method, "POST")
    if known := Check.objects.filter(pk=key, user=user).first():
        return JsonResponse(check_json(known), status=201)
    row = _own(request, key)
    if row.only_check:
        return JsonResponse(check_json(uploads.check(row)), status=201)
    entered = uploads.finish(row, again=request.GET.get("again") == "1")
    return JsonResponse(submission_json(entered), status=201)


def _refused(error: Refused) -> HttpResponse:
    return JsonResponse(error.body, status=error.status)


def _append(request: HttpRequest, row: Upload, offset_bytes: int) -> HttpResponse:
    length_bytes = _number(request, "Content-Length", 411)
    checksum = request.headers.get("Upload-Checksum")
    if checksum is None:
        offset_bytes = uploads.append(row, offset_bytes, request, length_bytes)
    else:
        uploads.expect(row, offset_bytes, length_bytes)
        with verified(request, length_bytes, checksum, staging.folder()) as body:
            offset_bytes = uploads.append(row, offset_bytes, body, length_bytes)
    response = HttpResponse(status=204)
    response["Upload-Offset"] = offset_bytes
    if offset_bytes == row.size_bytes:
        if row.only_check:
            response["Content-Location"] = settings.SITE_URL + uploads.check(row).get_absolute_url()
            return response
        try:
            uploads.finish(row)
        except Refused as refused:
            if refused.code != duplicates.CODE:
                raise  # a duplicate: the bytes are stored, and …/submission asks whether to enter them
    row.refresh_from_db()
    response["Upload-Expires"] = http_date(row.expires.timestamp())
    _point(response, row)
    return response


def _point(response: HttpResponse, row: Upload) -> None:
    if row.submission is not None:
        response["Content-Location"] = settings.SITE_URL + row.submission.get_absolute_url()


def _options() -> HttpResponse:
    contests = Contest.objects.in_force()
    response = HttpResponse(status=204)
    response["Tus-Version"] = VERSION
    response["Tus-Extension"] = EXTENSIONS
    response["Tus-Checksum-Algorithm"] = ",".join(CHECKSUMS)
    response["Tus-Max-Size"] = max((c.rules.limits.archive_bytes for c in contests), default=0)
    return response


def _user(request: HttpRequest) -> User:
    """Authenticate by token, which no browser sends on its own, or by session, which needs the CSRF header."""
    user = None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        user = UserToken("submit").authenticate(request, token.strip())
    elif request.user.is_authenticated:
        # Reading the CSRF token from a form would consume the body. Some servers (wsgiref) report a missing
        # Content-Type as text/plain; that is no reason to refuse.
        if request.content_type in FORMS:
            raise malformed(f"Content-Type must be {BODY} or absent", 415)
        if check_csrf(request) is not None:
            raise Refused("CSRF")
        user = request.user
    if user is None:
        words = (
            gettext("Not logged in, or the token is unknown or revoked."),
            gettext("Log in again, or create a token on your account page."),
        )
        raise Refused("UNAUTHENTICATED", words=words)
    return user  # type: ignore[no-any-return]


def _own(request: HttpRequest, key: str) -> Upload:
    row = uploads.find(key, _user(request))
    if row is None:
        raise Refused("UPLOAD_EXPIRED", status=404)
    return row


def _allow(method: str, *methods: str) -> None:
    if method not in methods:
        raise malformed(f"Methods here: {', '.join(methods)}", 405)


def _speaks_tus(request: HttpRequest) -> None:
    if request.headers.get("Tus-Resumable") != VERSION:
        raise malformed(f"Tus-Resumable must be {VERSION}", 412)


def _number(request: HttpRequest, header: str, missing: int = 400) -> int:
    text = request.headers.get(header, "")
    if not text:
        raise malformed(f"{header} is missing", missing)
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise malformed(f"{header} must be a whole number")
    return int(text)


def _requested(request: HttpRequest, size_bytes: int) -> tuple[Contest, UploadRequest]:
    raw = request.headers.get("Upload-Metadata", "")
    facts = _metadata(raw)
    contest = Contest.objects.in_force().filter(slug=facts.get("contest", "")).first()
    if contest is None:
        raise malformed("Upload-Metadata must name a contest of this site: contest BASE64", 404)
    sha256 = facts.get("sha256", "")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise malformed("Upload-Metadata: sha256 is not one")
    return contest, UploadRequest(
        size_bytes=size_bytes,
        name=facts.get("filename", ""),
        kind=facts.get("kind", "") or Submission.Kind.TEAM.value,
        title=facts.get("title", ""),
        note=facts.get("note", ""),
        sha256=sha256,
        metadata=raw,
        again=facts.get("again", "") == "1",
        only_check=facts.get("only_check", "") == "1",
    )


def _metadata(raw: str) -> dict[str, str]:
    """Parse ``key base64,key base64`` as the protocol defines it; values are UTF-8."""
    if len(raw) > MOST_METADATA_CHARS:
        raise malformed(f"Upload-Metadata is longer than {MOST_METADATA_CHARS} characters")
    facts: dict[str, str] = {}
    for pair in raw.split(",") if raw.strip() else []:
        key, _, encoded = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in facts:
            raise malformed("Upload-Metadata: keys are plain words, each once")
        try:
            facts[key] = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise malformed(f"Upload-Metadata: {key} is not base64 of UTF-8") from error
    return {key: "".join(c for c in value if c.isprintable()) for key, value in facts.items()}
