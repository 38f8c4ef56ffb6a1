"""Posting an event to a team's URL, signed as https://www.standardwebhooks.com describes (version 1).

webhook-id: msg_…            the same on every try
webhook-timestamp: seconds   of this try
webhook-signature: v1,…      base64 of HMAC-SHA256 over "id.timestamp.body"
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

import httpcore
from django.conf import settings
from django.utils.encoding import iri_to_uri

from leaderboard.models import Delivery, Webhook
from leaderboard.models.sentences import say
from leaderboard.notifications.network import Forbidden, Guarded

Answer = Delivery.Answer
SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix, not a secret
SECONDS = 8.0  # covers name resolution, connection, request and response
ANSWER_BYTES = 4096
GONE = 410


class NotDelivered(Exception):
    """The reason, as a code for ``Delivery.answer``."""

    def __init__(self, code: str, **parameters: Any) -> None:
        super().__init__(code, parameters)
        self.code, self.parameters = code, parameters

    def __str__(self) -> str:
        return say(Answer, self.code, self.parameters)


class Failed(NotDelivered):
    """It did not work this time."""


class Undeliverable(NotDelivered):
    """It must not, or need not, be retried."""


def new_secret() -> str:
    """A signing secret in Standard Webhooks format: a prefix and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` header of a message."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def find_fault(url: str) -> str:
    """The code for why a URL cannot be a webhook's; empty if it can. Names are not resolved here."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in (("https", "http") if settings.WEBHOOKS_TO_PRIVATE else ("https",)):
            return "WEBHOOK_HTTPS"
        if not parts.hostname or parts.username or parts.password or parts.fragment:
            return "WEBHOOK_ADDRESS"
        _in_ascii(url)
    except ValueError:
        return "WEBHOOK_ADDRESS"
    return ""


def _in_ascii(url: str) -> str:
    """The URL as it is sent: the host in IDNA, other non-ASCII characters percent-encoded.

    Raises:
        ValueError: an invalid port, bracket or label in the host name.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port is None else f":{parts.port}"
    return str(iri_to_uri(parts._replace(netloc=host + port).geturl()))


def send(row: Delivery) -> str:
    """Post one message of the outbox; returns a short form of the response.

    Raises:
        Failed: no connection, too slow, or a response other than 2xx.
        Undeliverable: the address is not public, or the receiver says it is gone for good.
    """
    hook = Webhook.objects.filter(team_id=row.team_id, url=row.target).first()
    if hook is None:
        raise Undeliverable(Answer.REMOVED)
    if fault := find_fault(row.target):
        is_plain = fault == "WEBHOOK_HTTPS"
        raise Undeliverable(Answer.NOT_HTTPS if is_plain else Answer.NO_ADDRESS)
    message_id, now = f"msg_{row.uid.hex}", int(time.time())
    body = json.dumps(row.event, ensure_ascii=False, separators=(",", ":")).encode()
    status = _post(
        _in_ascii(row.target),
        body,
        {
            "content-type": "application/json",
            "user-agent": "paretoboard-webhook/1",
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(hook.secret, message_id, now, body),
        },
    )
    if status == GONE:
        raise Undeliverable(Answer.TEXT, text=f"HTTP {status}")
    if not 200 <= status < 300:
        raise Failed(Answer.TEXT, text=f"HTTP {status}")
    return f"HTTP {status}"


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The response's status; redirects are not followed and at most 4 KB of the body is read."""
    sent = [("host", urlsplit(url).netloc), *headers.items()]
    guard = Guarded(SECONDS, private=settings.WEBHOOKS_TO_PRIVATE)
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=ssl.create_default_context(), network_backend=guard
            ) as pool,
            pool.stream("POST", url, headers=sent, content=body) as answer,
        ):
            got = 0
            for chunk in answer.iter_stream():
                got += len(chunk)
                if got >= ANSWER_BYTES:
                    break
            return int(answer.status)
    except Forbidden as error:
        raise Undeliverable(Answer.PRIVATE) from error
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise Failed(Answer.TIMEOUT, n=round(SECONDS)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise Failed(Answer.TEXT, text=str(error)[:150] or type(error).__name__) from error
