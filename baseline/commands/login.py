"""``baseline login`` and ``baseline logout``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from baseline.commands.options import Json, SiteUrl, Token
from baseline.remote import credentials
from baseline.remote.client import Site, checked_url, warn_of_clear
from baseline.terminal.errors import usage
from baseline.terminal.output import emit, json_wanted, out, safe, use_json


def command(
    site: SiteUrl = "",
    token: Token = "",
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token from standard input.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Store an API token (make one on your account page of the site)."""
    use_json(json_output)
    url, _ = credentials.resolve(site, "", token_needed=False)
    warn_of_clear(url)
    if token_stdin:
        token = sys.stdin.readline()
    elif not token:
        if not sys.stdin.isatty():
            raise usage("TOKEN_MISSING", "No token given.", "Pipe it in with --token-stdin.")
        token = typer.prompt(f"API token for {url}", hide_input=True, err=True)
    token = credentials.checked_token(token)
    if not token:
        raise usage(
            "TOKEN_MISSING", "No token given.", "Make one on your account page of the site."
        )
    with Site(url, token) as contest_site:
        me = contest_site.me()
    place = credentials.save(url, token)
    if json_wanted():
        emit({"site": url, "stored_in": place, **me})
        return
    out().print(
        f"Logged in to {safe(url)} as [bold]{safe(me.get('user', '?'))}[/bold]; token in {safe(place)}."
    )


def logout(site: SiteUrl = "", json_output: Json = False) -> None:
    """Forget the stored token of a site."""
    use_json(json_output)
    url, _ = credentials.resolve(checked_url(site) if site else "", "", token_needed=False)
    found = credentials.forget(url)
    if json_wanted():
        emit({"site": url, "forgotten": found})
        return
    out().print(f"{'Forgot the token' if found else 'There was no token'} for {safe(url)}.")
