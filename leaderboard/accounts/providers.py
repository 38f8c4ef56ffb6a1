"""Login with accounts from other services: which providers are on, from the environment. None by default.

For each name in ``SOCIAL_LOGIN`` (``github,google``), set ``SOCIAL_GITHUB_ID`` and ``SOCIAL_GITHUB_SECRET``
(or ``…_SECRET_FILE``); ``openid_connect`` also needs ``SOCIAL_OPENID_CONNECT_URL`` and ``…_NAME``.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from leaderboard.core import env

# Each provider's login origin: our form redirects there, so the content security policy must allow it.
ORIGINS = {
    "github": "https://github.com",
    "google": "https://accounts.google.com",
    "kakao": "https://kauth.kakao.com",
    "naver": "https://nid.naver.com",
    "openid_connect": "",
}


def apps(names: list[str]) -> list[str]:
    """The providers' Django apps.

    Raises:
        ValueError: a name that is not in ``ORIGINS``.
    """
    for name in names:
        if name not in ORIGINS:
            raise ValueError(f"SOCIAL_LOGIN={name!r}: known are {', '.join(ORIGINS)}")
    return [f"allauth.socialaccount.providers.{name}" for name in names]


def providers(names: list[str]) -> dict[str, dict[str, Any]]:
    """``SOCIALACCOUNT_PROVIDERS``. An address that the provider has verified counts as verified here."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        variable = f"SOCIAL_{name.upper()}"
        app: dict[str, Any] = {
            "client_id": env.text(f"{variable}_ID"),
            "secret": env.text(f"{variable}_SECRET"),
        }
        if name == "openid_connect":
            app["provider_id"] = "sso"
            app["name"] = env.text(f"{variable}_NAME", "SSO")
            app["settings"] = {"server_url": env.text(f"{variable}_URL")}
        found[name] = {"APPS": [app], "OAUTH_PKCE_ENABLED": True}
    return found


def origins(configured: dict[str, dict[str, Any]]) -> list[str]:
    """Origins that forms may submit to, besides the site itself."""
    found = []
    for name, provider in configured.items():
        if name == "openid_connect":
            url = urlsplit(provider["APPS"][0]["settings"]["server_url"])
            found.append(f"{url.scheme}://{url.netloc}")
        else:
            found.append(ORIGINS[name])
    return found
