"""The site's participant API. Every failure becomes one CliError with the site's own message and hint."""

from __future__ import annotations

import functools
import shlex
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from baseline import __version__
from baseline.terminal.errors import CliError, site, usage
from baseline.terminal.output import language, warn

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 600.0  # the site may hash and store for a while before it responds
RETRIES = 4
BACKOFF_S = 0.5
RETRY_STATUSES = {429, 502, 503, 504}
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Site:
    """A connection to one contest site with one token. ``transport`` is for tests."""

    def __init__(
        self,
        url: str,
        token: str = "",
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        spoken: str = "",
    ) -> None:
        import httpx

        self.url = checked_url(url)
        self._sleep = sleep
        headers = {
            "User-Agent": f"baseline/{__version__}",
            "Accept": "application/json",
            "Accept-Language": language(spoken),  # messages and hints come in this language
        }
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            self.http = httpx.Client(
                base_url=self.url, headers=headers, timeout=TIMEOUT_S, transport=transport
            )
        except httpx.InvalidURL as error:
            raise _no_address(url) from error

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def me(self) -> dict[str, Any]:
        return self.get("/api/me")

    def contest(self, contest: str) -> dict[str, Any]:
        return self.get(f"/api/contests/{part(contest)}")

    def board(self, contest: str) -> dict[str, Any]:
        return self.get(f"/api/contests/{part(contest)}/board")

    def submission(self, submission: str) -> dict[str, Any]:
        return self.get(f"/api/submissions/{part(submission)}")

    def get(self, path: str) -> dict[str, Any]:
        """GET, retrying while the site or the network is briefly unavailable.

        Raises:
            CliError: SITE_UNREACHABLE, the site's own code, or SITE_ANSWER if the response is not JSON.
        """
        import httpx

        for attempt in range(RETRIES):
            last = attempt == RETRIES - 1
            try:
                response = self.http.get(path)
            except httpx.HTTPError as error:
                if last:
                    raise self.unreachable(error) from error
            else:
                if response.status_code not in RETRY_STATUSES or last:
                    return self.document(response)
            self._sleep(BACKOFF_S * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST once, without retries, because it creates something. Raises like :meth:`get`."""
        import httpx

        try:
            response = self.http.post(path, json=body)
        except httpx.HTTPError as error:
            raise self.unreachable(error) from error
        return self.document(response)

    def document(self, response: httpx.Response) -> dict[str, Any]:
        """Return the JSON object of a successful response, or raise an error response as CliError."""
        try:
            body = response.json()
        except ValueError:
            body = None
        if response.is_success and isinstance(body, dict):
            return body
        if response.is_redirect:
            target = response.headers.get("location", "")
            raise site(
                "SITE_MOVED",
                f"{self.url} sends us to {target}.",
                "Use that address with --site.",
            )
        if response.status_code == 401:  # never valid, revoked or expired: the remedy is the same
            raise self._refused(body)
        if not response.is_success and isinstance(body, dict) and "message" in body:
            raise site(
                str(body.get("code", "SITE_ERROR")), str(body["message"]), str(body.get("hint", ""))
            )
        raise _unspoken(response, self.url)

    def _refused(self, body: object) -> CliError:
        body = body if isinstance(body, dict) else {}
        return site(
            str(body.get("code") or "TOKEN_REFUSED"),
            str(
                body.get("message")
                or f"{self.url} does not accept this token: it may have expired."
            ),
            "Make a new one on the site's account page, then run "
            f"`baseline login --site {shlex.quote(self.url)}`.",
        )

    def unreachable(self, error: Exception) -> CliError:
        return site(
            "SITE_UNREACHABLE",
            f"{self.url} cannot be reached: {reason(error)}.",
            "Check the address (--site) and the network, then run the same command again.",
        )


def reason(error: Exception) -> str:
    """Explain why a request failed. httpx quotes the headers of one that cannot be sent, including the
    token."""
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.LocalProtocolError):
        return "the request cannot be sent"
    return str(error) or type(error).__name__


def part(text: object) -> str:
    """Escape an id, which may be any user input, as one segment of a URL."""
    return quote(str(text), safe="", errors="replace")


def checked_url(url: str) -> str:
    """Normalize to ``http(s)://host`` without a trailing slash."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # half an IPv6 address, or an invalid port
        known = False
    if not known or any(c.isspace() or not c.isprintable() for c in url):
        raise _no_address(url)
    return url.rstrip("/")


def _no_address(url: str) -> CliError:
    return usage("SITE_ADDRESS", f"{url!r} is not a site address.", "Write --site https://HOST.")


def token_in_clear(url: str) -> bool:
    """Return whether a token would be sent over a network unencrypted."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK


@functools.cache
def warn_of_clear(url: str) -> None:
    """Warn once if a token for this site would be sent over a network unencrypted."""
    if token_in_clear(url):
        warn(f"{url} is not encrypted: anyone on the way can read your token. Use https.")


def _unspoken(response: httpx.Response, url: str) -> CliError:
    """Build an error for a response without the API's body: a proxy's page, or not a contest site at all."""
    code = response.status_code
    known = {
        403: ("NOT_ALLOWED", "This token may not do that.", "Check your team and its role."),
        404: ("NOT_FOUND", "The site does not know this address.", "Check --site and the id."),
        413: ("UPLOAD_TOO_LARGE", "The archive is larger than the site takes.",
              "Ask the organisers for the limit; `baseline check` shows the contest's."),
    }  # fmt: skip
    if code in known:
        return site(*known[code])
    if code < 400:
        return site(
            "SITE_ANSWER",
            f"{url} did not answer like a contest site.",
            "Check the address (--site).",
        )
    return site("SITE_ERROR", f"The site answered with HTTP {code}.", "Try again in a minute.")
