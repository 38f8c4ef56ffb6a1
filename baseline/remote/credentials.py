"""Stores tokens in the OS keyring if there is one, otherwise in a 0600 file in the user's configuration."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from pathlib import Path
from typing import Any

from baseline.remote.client import checked_url, warn_of_clear
from baseline.terminal.errors import usage

SERVICE = "paretoboard"


def config_folder() -> Path:
    """XDG: ``$XDG_CONFIG_HOME/paretoboard``, otherwise ``~/.config/paretoboard``."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".config"
    return root / "paretoboard"


def save(url: str, token: str) -> str:
    """Store ``token`` for a site and remember the site as the last one. Returns where the token was stored."""
    document = _read()
    document["site"] = url
    tokens = document.setdefault("tokens", {})
    if ring := _keyring():
        with contextlib.suppress(Exception):  # locked or without a backend: use the file instead
            ring.set_password(SERVICE, url, token)
            tokens.pop(url, None)
            _write(document)
            return "the system keyring"
    tokens[url] = token
    _write(document)
    return str(_file())


def forget(url: str) -> bool:
    """Delete the token of a site. Returns whether there was one."""
    document = _read()
    found = document.get("tokens", {}).pop(url, None) is not None
    if ring := _keyring():
        with contextlib.suppress(Exception):
            ring.delete_password(SERVICE, url)
            found = True
    _write(document)
    return found


def token_for(url: str) -> str:
    token = _read().get("tokens", {}).get(url, "")
    if not token and (ring := _keyring()):
        with contextlib.suppress(Exception):
            token = ring.get_password(SERVICE, url) or ""
    return str(token)


def resolve(site: str, token: str, token_needed: bool = True) -> tuple[str, str]:
    """Return site and token for this run, from options (or their environment variables) or the last login.

    Raises:
        CliError: one of them is missing or malformed.
    """
    url = site or str(_read().get("site", ""))
    if not url:
        raise usage(
            "SITE_UNKNOWN",
            "Which contest site?",
            "Give --site URL, set BASELINE_SITE, or run `baseline login --site URL` once.",
        )
    url = checked_url(url)
    token = checked_token(token or token_for(url))
    if token_needed and not token:
        raise usage(
            "TOKEN_UNKNOWN",
            f"There is no token for {url}.",
            f"Run `baseline login --site {shlex.quote(url)}` or set BASELINE_TOKEN.",
        )
    if token:
        warn_of_clear(url)
    return url, token


def checked_token(token: str) -> str:
    """Strip the line end that a file or variable may have left on it.

    Raises:
        CliError: TOKEN_MALFORMED, before anything is sent. The token itself is never shown.
    """
    token = token.strip()
    if not token.isascii() or any(c.isspace() or not c.isprintable() for c in token):
        raise usage(
            "TOKEN_MALFORMED",
            "That is not a token: it has characters that no token has.",
            "Make one on your account page of the site.",
        )
    return token


def _file() -> Path:
    return config_folder() / "credentials.json"


def _read() -> dict[str, Any]:
    try:
        document = json.loads(_file().read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _write(document: dict[str, Any]) -> None:
    """Write atomically, without ever making the file readable by others."""
    folder = config_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f".credentials-{os.getpid()}"
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
    temporary.replace(_file())


def _keyring() -> Any:
    try:
        import keyring
    except ImportError:
        return None
    with contextlib.suppress(Exception):
        if keyring.get_keyring().priority >= 1:  # below 1: the placeholder for a missing keyring
            return keyring
    return None
